"""The final tests of the two originals: which errors, on which joints, under which words they are printed.

Every function takes millimetres and returns a :class:`Report`; its ``text`` is what the original prints, to
the letter.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import COCO, HUMAN36, SMPL, JointSet
from openhmr.lab.evaluation.official_i2l import METRICS, lines
from openhmr.lab.metrics.errors import acceleration_error, mpjpe, mpvpe, pa_mpjpe, pa_mpvpe
from openhmr.sequence.one_euro import smooth_one_euro

ACTIONS = (
    "Directions",
    "Discussion",
    "Eating",
    "Greeting",
    "Phoning",
    "Posing",
    "Purchases",
    "Sitting",
    "SittingDown",
    "Smoking",
    "Photo",
    "Waiting",
    "Walking",
    "WalkDog",
    "WalkTogether",
)
"""Human3.6M's actions in the order of their numbers, which begin at 2 in file names."""


@dataclass(frozen=True)
class Row:
    """One error: its printed ``label``, one value per sample, and the figure printed (usually their mean)."""

    label: str
    values: NDArray
    printed: float

    @classmethod
    def mean(cls, label: str, values: NDArray) -> "Row":
        return cls(label, values, float(values.mean()) if len(values) else float("nan"))


@dataclass(frozen=True)
class Report:
    """``text`` as the original prints it, the ``rows`` behind it, and ``extra`` errors that the original does
    not print."""

    text: str
    rows: Sequence[Row]
    extra: Mapping[str, float] = field(default_factory=dict)
    per_action: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def write(self, folder: Path, name: str) -> None:
        """``NAME.json`` and ``NAME.csv`` with every figure (label, action, value in mm)."""
        folder.mkdir(parents=True, exist_ok=True)
        figures = [(r.label, "all", r.printed, len(r.values)) for r in self.rows]
        figures += [
            (label, action, v, 0)
            for label, by in self.per_action.items()
            for action, v in by.items()
            if np.isfinite(v)
        ]
        figures += [(label, "all", v, 0) for label, v in self.extra.items()]
        with atomic_path(folder / f"{name}.json") as temporary:
            names = ("error", "subset", "value", "samples")
            content = [
                dict(zip(names, (a, b, round(c, 4) if np.isfinite(c) else None, d or None), strict=True))
                for a, b, c, d in figures
            ]
            temporary.write_text(json.dumps(content, indent=1) + "\n")
        with atomic_path(folder / f"{name}.csv") as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    ("error", "subset", "value", "samples"),
                    *((a, b, f"{c:.4f}", d or "") for a, b, c, d in figures),
                ]
            )


def action_of(path: str) -> int:
    """Number (from 0) of the action in an image path ``..._act_NN_...``.

    The original looks behind the path's first ``act``, which any folder's name can be; here the last
    ``_act_`` counts. Raises :class:`InputError` where no such number follows.
    """
    _, found, rest = path.rpartition("_act_")
    digits = rest[:2] if found else ""
    if not digits.isdigit() or not 0 <= int(digits) - 2 < len(ACTIONS):
        raise InputError(f"image path {path} tells no action; Human3.6M's paths have _act_02_ to _act_16_")
    return int(digits) - 2


def human36m(
    predicted: NDArray,
    truth: NDArray,
    joints: NDArray,
    human36: NDArray,
    smpl: NDArray,
    actions: Sequence[int],
) -> Report:
    """Human3.6M, protocol 2: meshes ``(N,V,3)``, annotated ``joints (N,17,3)``, the two regressors, an action
    per sample."""
    regressed = np.matmul(human36, predicted)
    rows = [
        Row.mean("H36M pose error (MPJPE)", mpjpe(regressed, joints, HUMAN36)),
        Row.mean("H36M pose error (PA-MPJPE)", pa_mpjpe(regressed, joints, HUMAN36)),
        Row.mean("SMPL pose error (MPJPE)", mpjpe(np.matmul(smpl, predicted), np.matmul(smpl, truth), SMPL)),
        Row.mean("SMPL mesh error (MPVPE)", mpvpe(predicted, truth, smpl[0])),
    ]
    return _protocol2(rows, actions, {"PA-MPVPE": float(pa_mpvpe(predicted, truth).mean())})


def human36m_poses(predicted: NDArray, joints: NDArray, actions: Sequence[int]) -> Report:
    """Human3.6M, stage 1 of Pose2Mesh: poses ``(N,17,3)``."""
    rows = [
        Row.mean("H36M pose error (MPJPE)", mpjpe(predicted, joints, HUMAN36)),
        Row.mean("H36M pose error (PA-MPJPE)", pa_mpjpe(predicted, joints, HUMAN36)),
    ]
    return _protocol2(rows, actions, {})


def _protocol2(rows: list[Row], actions: Sequence[int], extra: dict[str, float]) -> Report:
    index, lines, per_action = np.asarray(actions), ["Evaluation start..."], {}
    for row in rows:
        by = {
            name: float(row.values[index == i].mean()) if np.any(index == i) else float("nan")
            for i, name in enumerate(ACTIONS)
        }
        per_action[row.label] = by
        lines += [
            f"Protocol 2 {row.label} >> tot: {row.printed:.2f}",
            "".join(f"{name}: {value:.2f} " for name, value in by.items()),
        ]
    return Report("\n".join(lines) + "\n", rows, extra, per_action)


def pw3d(
    predicted: NDArray,
    truth: NDArray,
    human36: NDArray,
    smpl: NDArray,
    videos: Sequence[str] = (),
    pa_vertices: bool = False,
) -> Report:
    """3DPW: meshes ``(N,V,3)``. ``pa_vertices=False`` prints 0.00 as PA-MPVPE, as the original does.

    With a ``videos`` name per sample the extras tell the acceleration error, and all errors after the
    one-euro filter.
    """
    aligned = pa_mpvpe(predicted, truth)
    rows = [
        Row.mean("H36M MPJPE (mm)    ", mpjpe(human36 @ predicted, human36 @ truth, HUMAN36)),
        Row.mean("H36M PA-MPJPE (mm) ", pa_mpjpe(human36 @ predicted, human36 @ truth, HUMAN36)),
        Row.mean("SMPL MPJPE (mm)    ", mpjpe(smpl @ predicted, smpl @ truth, SMPL)),
        Row.mean("MPVPE (mm)         ", mpvpe(predicted, truth, smpl[0])),
        Row("PA-MPVPE (mm)      ", aligned, float(aligned.mean()) if pa_vertices else 0.0),
    ]
    extra = {"PA-MPVPE": float(aligned.mean())}
    if len(videos):
        extra |= video_errors(human36 @ predicted, human36 @ truth, videos, HUMAN36)
    return Report(_sections(rows), rows, extra)


def pw3d_poses(predicted: NDArray, truth: NDArray) -> Report:
    """3DPW, stage 1 of Pose2Mesh: COCO poses ``(N,19,3)``."""
    rows = [
        Row.mean("COCO MPJPE (mm)    ", mpjpe(predicted, truth, COCO)),
        Row.mean("COCO PA-MPJPE (mm) ", pa_mpjpe(predicted, truth, COCO)),
    ]
    return Report(_sections(rows), rows)


def _sections(rows: Sequence[Row]) -> str:
    return "Evaluation start...\n" + "".join(f"{r.label}>> tot: {r.printed:.2f}\n\n" for r in rows)


def video_errors(
    predicted: NDArray, truth: NDArray, videos: Sequence[str], joint_set: JointSet
) -> dict[str, float]:
    """Acceleration error (mm per frame squared) of poses ``(N,J,3)`` in order, and all errors after smoothing
    each video."""
    root = joint_set.root
    p, t = (x - x[:, root : root + 1] for x in (predicted, truth))
    names, parts = np.asarray(videos), []
    smooth = np.empty_like(p)
    for name in dict.fromkeys(videos):
        chosen = names == name
        smooth[chosen] = smooth_one_euro(p[chosen], 0.004, 0.005)
        parts.append(chosen)
    keep = list(joint_set.eval_joints)

    def acceleration(x: NDArray) -> float:
        errors = [acceleration_error(x[c][:, keep], t[c][:, keep]) for c in parts if c.sum() > 2]
        return float(np.concatenate(errors or [np.array([np.nan])]).mean())

    return {
        "acceleration error": acceleration(p),
        "smoothed acceleration error": acceleration(smooth),
        "smoothed MPJPE": float(mpjpe(smooth, t, joint_set).mean()),
        "smoothed PA-MPJPE": float(pa_mpjpe(smooth, t, joint_set).mean()),
    }


def surreal(predicted: NDArray, truth: NDArray, smpl: NDArray) -> Report:
    """SURREAL: meshes ``(N,V,3)``."""
    rows = [
        Row.mean("Pose error (MPJPE)", mpjpe(np.matmul(smpl, predicted), np.matmul(smpl, truth), SMPL)),
        Row.mean("Mesh error (MPVPE)", mpvpe(predicted, truth, smpl[0])),
    ]
    extra = {"PA-MPVPE": float(pa_mpvpe(predicted, truth).mean())}
    return Report("".join(f"{r.label}: {r.printed:.2f} mm\n" for r in rows), rows, extra)


def surreal_poses(predicted: NDArray, truth: NDArray) -> Report:
    """SURREAL, stage 1 of Pose2Mesh: SMPL poses ``(N,24,3)``."""
    rows = [
        Row.mean("MPJPE", mpjpe(predicted, truth, SMPL)),
        Row.mean("PA-MPJPE", pa_mpjpe(predicted, truth, SMPL)),
    ]
    return Report("".join(f"{r.label}: {r.printed:.2f} mm\n" for r in rows), rows)


def i2l(errors: Mapping[str, NDArray]) -> Report:
    """I2L-MeshNet's four lines from per-sample errors (mm) by the names of :data:`METRICS`; nan where there
    are none."""
    rows = [
        Row.mean(line.split(":")[0], np.asarray(errors.get(name, ()), np.float64))
        for name, line in zip(METRICS, lines(errors), strict=True)
    ]
    return Report("\n".join(lines(errors)) + "\n", rows)
