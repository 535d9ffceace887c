"""Errors of a shipped Pose2Mesh model on held-out motion, beside two baselines in the same run."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import JointSet
from openhmr.lab.evaluation.mesh_errors import METRICS, ExactMesh, MeshErrors
from openhmr.lab.synth.motion import Motion
from openhmr.lab.synth.noise2d import CLEAN, NoiseLevel
from openhmr.lab.synth.pairs import Batch, Cameras, PairSource, Skeleton
from openhmr.lab.synth.poses import AS_RECORDED, PoseSampler, Widening, even_weights
from openhmr.predict.lift import Lifter

SEED, SAMPLES, BANK, CHUNK = 2020, 2048, 20_000, 128
PART = 32
"""Meshes compared at once: so many stay in a processor's cache."""
Predictor = Callable[[Batch], NDArray]
"""Takes a batch, returns coarse vertices ``(B,Vc,3)`` in metres, root-relative."""


def conditions() -> dict[str, NoiseLevel]:
    """Name -> noise: true and noisy 2D (with and without confidences that tell good joints from bad), with 0
    to 5 joints missing."""
    out = {}
    for missing in (0, 1, 3, 5):
        suffix = f", {missing} missing" if missing else ""
        out["true 2D" + suffix] = NoiseLevel(missing=missing)
        out["noisy 2D" + suffix] = NoiseLevel(share=1.0, soft=1.0, missing=missing)
    out["noisy 2D, no confidences"] = NoiseLevel(share=1.0)
    # A current detector on a clear video errs by a fifth of the synthesis' radii (measured on real frames);
    # this is still harder.
    out["noisy 2D, 0.3 of it"] = NoiseLevel(share=1.0, soft=1.0, strength=(0.3, 0.3))
    return out


def recorded(
    motion: Motion, skeleton: Skeleton, layout: JointSet, joint_set: JointSet, noise: NoiseLevel
) -> PairSource:
    """Pairs of the recorded frames of ``motion``, each equally likely, with the default cameras and random
    shapes: poses of ``joint_set`` in the ``layout`` of a network."""
    weights = np.full(len(motion.rotations), 1 / len(motion.rotations))
    poses = PoseSampler(motion.rotations, weights, AS_RECORDED, torch.device("cpu"))
    return PairSource(skeleton, poses, layout, noise, Cameras(), skeletons=[joint_set.name])


class Baselines:
    """The mean training pose, and the training pose whose 2D pose fits best by Procrustes alignment in the
    plane."""

    def __init__(self, motion: Motion, skeleton: Skeleton, layout: JointSet, joint_set: JointSet) -> None:
        poses = PoseSampler(motion.rotations, even_weights(motion.rotations), Widening(), torch.device("cpu"))
        bank = PairSource(skeleton, poses, layout, CLEAN, Cameras(), skeletons=[joint_set.name])(
            BANK, torch.Generator().manual_seed(SEED + 1)
        )
        self.skeleton, self.bank = skeleton, bank
        self.flat = self._complex(bank.pose2d)
        sample = slice(0, 2000)
        self.mean = (
            skeleton.vertices(bank.rotations[sample], bank.translations[sample], bank.betas[sample])
            .mean(0)
            .numpy()
        )

    @staticmethod
    def _complex(pose2d: torch.Tensor) -> NDArray:
        return (pose2d[..., 0] + 1j * pose2d[..., 1]).numpy().astype(np.complex64)

    def mean_pose(self, batch: Batch) -> NDArray:
        return np.broadcast_to(self.mean, (len(batch.pose2d), *self.mean.shape))

    def nearest(self, batch: Batch) -> NDArray:
        """Coarse vertices of the best-fitting training pose, turned about the optical axis as the 2D fit
        says."""
        z, present = self._complex(batch.pose2d), (batch.pose2d[..., 2] > 0).numpy().astype(np.float32)
        product = z.conj() @ self.flat.T
        norm = present @ (np.abs(self.flat) ** 2).T
        best = np.argmax(np.abs(product) ** 2 / np.maximum(norm, 1e-9), 1)
        found = torch.as_tensor(best)
        vertices = self.skeleton.vertices(
            self.bank.rotations[found], self.bank.translations[found], self.bank.betas[found]
        ).numpy()
        turn = np.exp(-1j * np.angle(product[np.arange(len(best)), best]))[:, None]
        xy = (vertices[..., 0] + 1j * vertices[..., 1]) * turn
        return np.stack([xy.real, xy.imag, vertices[..., 2]], -1)


def onnx_predictor(path: Path, body: Body, joint_set: JointSet) -> tuple[Predictor, JointSet]:
    """Run an exported ONNX file; also the layout of its input. Raises :class:`InputError` if it is no
    Pose2Mesh of ``body`` that lifts ``joint_set``."""
    lifter = Lifter(path, body, joint_set)
    session = lifter.session
    inputs, outputs = (
        {v.name: v.shape for v in values} for values in (session.get_inputs(), session.get_outputs())
    )
    if list(inputs) != ["pose2d"] or "vertices" not in outputs:
        raise InputError(
            f"{path} takes {', '.join(inputs)} and gives {', '.join(outputs)}; a Pose2Mesh model takes "
            f"pose2d and gives vertices: use one"
        )

    def predict(batch: Batch) -> NDArray:
        return np.concatenate(
            [
                session.run(["vertices"], {"pose2d": part.numpy()})[0]
                for part in batch.pose2d.split(lifter.poses_at_once)
            ]
        )

    return predict, lifter.layout


def evaluate(
    predictors: dict[str, Predictor],
    source: Callable[[NoiseLevel], PairSource],
    body: Body,
    levels: dict[str, NoiseLevel] | None = None,
    samples: int = SAMPLES,
) -> list[dict[str, object]]:
    """Rows of MPJPE, PA-MPJPE (14 Human3.6M joints), MPVPE, PA-MPVPE in mm, for each predictor and each of
    the noise ``levels`` (default: :func:`conditions`), over ``samples`` poses."""
    errors, exact = MeshErrors(body), ExactMesh(body)
    rows: list[dict[str, object]] = []
    for name, noise in tqdm((levels or conditions()).items(), desc="conditions"):
        generator = torch.Generator().manual_seed(SEED)
        pairs = source(noise)
        sums = {p: np.zeros(len(METRICS)) for p in predictors}
        for start in range(0, samples, CHUNK):
            batch = pairs(min(CHUNK, samples - start), generator)
            guesses = {p: predict(batch) for p, predict in predictors.items()}
            for at in range(0, len(batch.betas), PART):
                part = slice(at, at + PART)
                truth = exact(batch.rotations[part], batch.translations[part], batch.betas[part])
                for p, guess in guesses.items():
                    sums[p] += errors(guess[part], truth, batch.joints[part].numpy()).sum(1)
        for p, total in sums.items():
            rows.append(
                {"input": name, "method": p}
                | dict(zip(METRICS, (total / samples).round(2).tolist(), strict=True))
            )
    return rows


def write_table(rows: list[dict[str, object]], folder: Path, stem: str) -> str:
    """Write ``stem.json`` and ``stem.csv`` into ``folder``; return the rows as a table of text."""
    if not rows:
        raise InputError("there is nothing to write: no condition was evaluated")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / f"{stem}.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    with atomic_path(folder / f"{stem}.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    cells = [list(rows[0])] + [
        [f"{v:.1f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows
    ]
    widths = [max(len(r[i]) for r in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in cells
    )
