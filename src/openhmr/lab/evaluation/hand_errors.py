"""Errors of lifted hands on poses that are never trained on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_hand
from openhmr.errors import InputError
from openhmr.joints import MANO
from openhmr.lab.evaluation.mesh_errors import ExactMesh
from openhmr.lab.metrics.errors import mean_distance, pa_mpjpe, pa_mpvpe
from openhmr.lab.synth.hand_pack import load_hands
from openhmr.lab.synth.hand_pairs import CLEAN, NOISY, HandCameras, HandNoise, HandPairs
from openhmr.lab.synth.hand_poses import AS_STORED, HandPoses
from openhmr.lab.synth.pairs import Batch, Skeleton
from openhmr.predict.coarse_mesh import CoarseMesh
from openhmr.predict.lift import Lifter

SAMPLES, SEED = 2048, 2021
CONDITIONS = {
    "true 2D": CLEAN,
    "noisy 2D": NOISY,
    "true 2D, 1 missing": HandNoise(missing=1),
    "true 2D, up to 6 missing": HandNoise(missing=6),
    "true 2D, fingers hidden": HandNoise(hide=1.0),
    "true 2D, cut off": HandNoise(truncate=1.0),
    "noisy 2D, up to 6 missing": HandNoise(share=1.0, box=(0.02, 0.02), wrong=0.0, missing=6),
}
"""Noise: 2 % of the box along each axis."""


class HandErrors:
    """Errors in mm of coarse meshes ``(B,Vc,3)``, metres, of the hands of a ``batch``: the whole mesh of
    ``hand`` and all 21 joints."""

    def __init__(self, batch: Batch, hand: Body) -> None:
        self.batch, self.mesh = batch, CoarseMesh(hand)
        parameters = (x.cpu() for x in (batch.rotations, batch.translations, batch.betas))
        self.truth = 1000 * ExactMesh(hand)(*parameters).mT.numpy()

    def __call__(self, coarse: NDArray[np.float32]) -> dict[str, float]:
        joints, mesh = 1000 * self.mesh.joints(coarse, MANO), 1000 * self.mesh.upsample(coarse)
        target = 1000 * self.batch.joints.cpu().numpy()
        return {
            "mpvpe": float(mean_distance(mesh, self.truth).mean()),
            "pa_mpvpe": float(pa_mpvpe(mesh, self.truth).mean()),
            "pa_mpjpe": float(pa_mpjpe(joints, target, MANO).mean()),
        }


def held_out(
    hands: str | Path, hand: Body, device: torch.device, samples: int, upright: bool
) -> Callable[[HandNoise, int], Batch]:
    """``draw(noise, seed)``: a batch of the pack's validation poses, as they are, in random shapes, turned
    every way, before random cameras."""
    poses = HandPoses(load_hands(hands, validation=True), hand, AS_STORED, device)
    skeleton = Skeleton(hand, MANO).to(device)

    def draw(noise: HandNoise, seed: int) -> Batch:
        pairs = HandPairs(skeleton, poses, noise, HandCameras(), stored=samples, upright=upright)
        return pairs(samples, torch.Generator(device=device).manual_seed(seed))

    return draw


def evaluate(model: str | Path, hands: str | Path, samples: int = SAMPLES) -> list[dict[str, object]]:
    """Rows of MPVPE, PA-MPVPE and PA-MPJPE in mm of an ONNX file for each of :data:`CONDITIONS`.

    Raises :class:`InputError` where the file is no network of the open hand.
    """
    hand = open_hand()
    lifter = Lifter(model, hand)
    if lifter.layout != MANO:
        raise InputError(f"{model} lifts {lifter.layout.name} joints; a network of {MANO.name} is needed")
    draw = held_out(hands, hand, torch.device("cpu"), samples, lifter.upright)

    def run(pose2d: Tensor) -> NDArray[np.float32]:
        parts = pose2d.split(lifter.poses_at_once)
        return np.concatenate(
            [lifter.session.run(["vertices"], {"pose2d": part.numpy()})[0] for part in parts]
        )

    rows: list[dict[str, object]] = []
    for name, noise in CONDITIONS.items():
        batch = draw(noise, SEED)
        numbers = HandErrors(batch, hand)(run(batch.pose2d))
        names = {"MPVPE": "mpvpe", "PA-MPVPE": "pa_mpvpe", "PA-MPJPE": "pa_mpjpe"}
        rows.append(
            {"input": name, "method": Path(model).stem} | {k: round(numbers[v], 2) for k, v in names.items()}
        )
    return rows
