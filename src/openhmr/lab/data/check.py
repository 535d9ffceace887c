"""Whether a user's copy of a data set is what the readers expect: files, counts, units, projection, left and
right."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.bodies.mano import mano_joints21
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.pinhole import cam2pixel
from openhmr.joints import COCO, COCO18, HUMAN36, MANO, SMPL, JointSet
from openhmr.joints.coco import COCO17
from openhmr.lab.data.amass import AMASS
from openhmr.lab.data.freihand import FreiHAND, FreiHANDPoses
from openhmr.lab.data.human36m import Human36M, Human36MPoses
from openhmr.lab.data.mscoco import MSCOCO, CocoDataset
from openhmr.lab.data.muco import MuCo, MuCoPoses
from openhmr.lab.data.pw3d import PW3D, PW3DPoses
from openhmr.lab.data.sources import I2L, NAMES, POSE2MESH, files_of
from openhmr.lab.data.surreal import SURREAL
from openhmr.lab.data.types import Sample, Samples
from openhmr.predict.person_crop import ENLARGE

COUNTS = {
    ("Human36M", "I2L-MeshNet test"): 2200,
    ("PW3D", "I2L-MeshNet test"): 35500,
    ("MSCOCO", "I2L-MeshNet test"): 6400,
    ("FreiHAND", "I2L-MeshNet train"): 130240,
    ("FreiHAND", "I2L-MeshNet test"): 3960,
}
"""Numbers of samples in the originals' logs, rounded to their batches."""
COUNT_TOLERANCE = 0.03
LEG_M, HAND_M, AWAY_M = (0.5, 1.3), (0.1, 0.3), (0.1, 60.0)
"""Plausible lengths of hip-knee-ankle and of wrist to middle fingertip, and distances from the camera."""
PROJECTION = 0.02
"""Largest median distance of annotated joints from their own projection, as a share of the box."""
FIT = 0.1
"""The same of the fitted body's joints."""

Maker = Callable[[], Samples]


@dataclass
class Findings:
    """What was found, in words; ``problems`` counts the lines that say something is wrong."""

    lines: list[str] = field(default_factory=list)
    problems: int = 0

    def good(self, text: str) -> None:
        self.lines.append(f"ok       {text}")

    def bad(self, text: str) -> None:
        self.lines.append(f"PROBLEM  {text}")
        self.problems += 1

    def judge(self, fine: bool, text: str, advice: str) -> None:
        self.good(text) if fine else self.bad(f"{text}; {advice}")


def check(
    name: str, root: str | Path, body: Body | None, gendered: Mapping[str, Body], count: int = 200
) -> Findings:
    """Examine the data set ``name`` in its folder ``root``, and ``count`` samples of each split, evenly
    spread.

    ``body`` (with the data sets' joint regressors) and ``gendered`` are the models that its fits belong to;
    without them only the presence of the files is checked. Raises :class:`InputError` for an unknown name or
    a root that is no folder.
    """
    if name not in NAMES:
        raise InputError(f"data set {name!r} is unknown; known are {', '.join(NAMES)}")
    root, found = Path(root), Findings()
    if not root.is_dir():
        raise InputError(
            f"{root} is no folder; give the one that holds {name} in its official layout (usually "
            f"data/{name})"
        )
    for needed in files_of(name):
        at = next(iter(root.glob(needed.path)), None)
        found.judge(
            at is not None, f"{needed.path} ({needed.system})", f"missing: it comes from {needed.source}"
        )
    if body is None:
        found.lines.append(
            "note     with a body model (and the male and female ones) the samples are looked at, too"
        )
        return found
    for label, make in readers(name, root, body, gendered).items():
        try:
            samples = make()
        except InputError as error:
            found.bad(f"{label}: {error}")
            continue
        expected = COUNTS.get((name, label))
        if expected is None:
            found.judge(
                len(samples) > 0,
                f"{label}: {len(samples)} samples",
                "annotations and fits of the same release are needed",
            )
        else:
            fine = abs(len(samples) - expected) <= COUNT_TOLERANCE * expected
            found.judge(
                fine,
                f"{label}: {len(samples)} samples",
                f"the original has about {expected}, so annotations are missing",
            )
        _examine(samples, label, {"neutral": body} | dict(gendered), count, found)
    return found


def readers(name: str, root: Path, body: Body, gendered: Mapping[str, Body]) -> dict[str, Maker]:
    """The readers of both systems by system and split."""
    both: tuple[Literal["train"], Literal["test"]] = ("train", "test")
    i2l: dict[str, dict[str, Maker]] = {
        "Human36M": {s: partial(Human36M, root, s, body) for s in both},
        "MuCo": {"train": partial(MuCo, root)},
        "MSCOCO": {s: partial(MSCOCO, root, s) for s in both},
        "PW3D": {"test": partial(PW3D, root, gendered)},
        "FreiHAND": {s: partial(FreiHAND, root, s) for s in both},
    }
    lift: dict[str, dict[str, Maker]] = {
        "Human36M": {s: partial(Human36MPoses, root, s, body) for s in both},
        "MuCo": {"train": partial(MuCoPoses, root)},
        "COCO": {"train": partial(CocoDataset, root)},
        "PW3D": {"test": partial(PW3DPoses, root)},
        "AMASS": {"train": partial(AMASS, root)},
        "SURREAL": {s: partial(SURREAL, root, s) for s in both},
        "FreiHAND": {s: partial(FreiHANDPoses, root, s) for s in both},
    }
    parts = ((I2L, i2l), (POSE2MESH, lift))
    return {
        f"{system} {split}": make for system, table in parts for split, make in table.get(name, {}).items()
    }


def _examine(samples: Samples, label: str, bodies: Mapping[str, Body], count: int, found: Findings) -> None:
    chosen: list[Sample] = []
    broken: list[str] = []
    for i in (
        np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int))
        if len(samples)
        else ()
    ):
        try:
            chosen.append(samples[int(i)])
        except InputError as error:
            broken.append(str(error))
    if broken:
        found.bad(
            f"{label}: {len(broken)} of {len(broken) + len(chosen)} samples are broken, the first: "
            f"{broken[0]}"
        )
    if label.startswith(I2L):
        _pictures(chosen, label, found)
    _units(chosen, label, found)
    _projection(chosen, label, found)
    _fits(chosen, label, bodies, found)


def _pictures(chosen: list[Sample], label: str, found: Findings) -> None:
    missing = [s.image_path for s in chosen if not s.image_path.is_file()]
    text = f"{label}: {len(chosen) - len(missing)} of {len(chosen)} pictures exist"
    found.judge(not missing, text, f"{missing[0] if missing else ''} does not: unpack all pictures")
    wrong = [s for s in chosen if s.image_path.is_file() and _size(s.image_path) != s.image_hw]
    if wrong:
        found.bad(
            f"{label}: {len(wrong)} pictures have another size than annotated, such as "
            f"{wrong[0].image_path}; use the originals"
        )


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size[1], image.size[0]
    except (OSError, ValueError, Image.DecompressionBombError):
        return 0, 0


def _units(chosen: list[Sample], label: str, found: Findings) -> None:
    lengths, depths = [], [s.root_depth_m for s in chosen if s.root_depth_m]
    for s in chosen:
        hand, names = s.joint_set == MANO, s.joint_set.names
        chain = ("Wrist", "Middle_4") if hand else ("L_Hip", "L_Knee", "L_Ankle")
        if s.joints_cam_m.any() and set(chain) <= set(names):
            points = s.joints_cam_m[[names.index(n) for n in chain]]
            lengths.append(float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()))
            low, high = HAND_M if hand else LEG_M
    if lengths:
        m = float(np.median(lengths))
        what = "hands" if chosen[0].joint_set == MANO else "legs"
        found.judge(
            low <= m <= high,
            f"{label}: {what} are {m:.2f} m long (median)",
            f"{low} to {high} m are plausible: check the unit",
        )
    if depths:
        m, (low, high) = float(np.median(depths)), AWAY_M
        found.judge(
            low <= m <= high,
            f"{label}: roots are {m:.2f} m away (median)",
            f"{low} to {high} m are plausible: check the unit",
        )


def _projection(chosen: list[Sample], label: str, found: Findings) -> None:
    errors = []
    for s in chosen:
        if s.joints_cam_m.any() and s.joints_px.any() and s.focal_px.all():
            pixels = cam2pixel(s.joints_cam_m, s.focal_px, s.principal_px)[:, :2]
            errors.append(float(np.median(np.linalg.norm(pixels - s.joints_px, axis=1)) / _side(s)))
    if errors:
        m = float(np.median(errors))
        found.judge(
            m <= PROJECTION,
            f"{label}: joints project to their pixels within {100 * m:.2f} % of the box",
            "check the cameras",
        )


def _side(sample: Sample) -> float:
    return float(max(*sample.box_xywh[2:], *(sample.crop_xywh[2:] / ENLARGE), 1.0))


def _fits(chosen: list[Sample], label: str, bodies: Mapping[str, Body], found: Findings) -> None:
    fitted = [s for s in chosen if s.has_fit]
    absent = sorted({s.gender for s in fitted} - set(bodies))
    if absent:
        found.bad(f"{label}: samples need the SMPL bodies of the genders {', '.join(absent)}; give them too")
    fitted = [s for s in fitted if s.gender in bodies]
    other = sorted(
        {bodies[s.gender].num_joints for s in fitted if len(s.pose) != bodies[s.gender].num_joints}
    )
    if other:
        found.bad(
            f"{label}: fits have {len(fitted[0].pose)} joints, but the body {other[0]}; give the model that "
            f"was fitted"
        )
    pairs = [_fit_errors(s, bodies[s.gender]) for s in fitted]
    errors = np.array([p for p in pairs if p is not None]).reshape(-1, 2)
    if not len(errors):
        return
    m, mirrored = np.median(errors, axis=0)
    what = f"{label}: fitted bodies lie {100 * m:.1f} % of the box from the joints (median of {len(errors)})"
    found.judge(m <= FIT, what, "annotations, fits and body model do not belong together")
    if np.isfinite(mirrored):
        swapped = f"{label}: with left and right exchanged it would be {100 * mirrored:.1f} %"
        found.judge(m <= mirrored, swapped, "left and right are exchanged in the annotations or the fits")


def _fit_errors(sample: Sample, body: Body) -> tuple[float, float] | None:
    """Mean distance of the fit's projected joints from the known ones as a share of the box, and with left
    and right exchanged."""
    known, joint_set, used = _known(sample)
    if joint_set is None or body.num_joints != sample.pose.shape[0]:
        return None
    mesh, own = skin(body, sample.pose, sample.betas, sample.trans_m)
    if joint_set == MANO:
        joints = mano_joints21(mesh, own)
    elif joint_set == SMPL:
        joints = own
    else:
        joints, named = _regressed(body, mesh, joint_set)
        used = used & named
    if not used.any():
        return None
    if len(sample.weak_camera):
        pixels = joints[:, :2] * sample.weak_camera[0] + sample.weak_camera[1]
    else:
        pixels = cam2pixel(joints, sample.focal_px, sample.principal_px)[:, :2]

    def distance(a):
        return float(np.linalg.norm(a - known, axis=1)[used].mean()) / _side(sample)

    return distance(pixels), distance(pixels[joint_set.flip_permutation]) if joint_set.flip_pairs else np.nan


def _known(sample: Sample) -> tuple[NDArray, JointSet | None, NDArray]:
    """Pixels of joints known from annotation or detection, their set and which count."""
    if sample.joints_valid.any() and sample.joints_px.any():
        return sample.joints_px, sample.joint_set, sample.joints_valid > 0
    sets = {len(COCO17): COCO18, SMPL.size: SMPL, MANO.size: MANO}
    found = sample.detected_px
    if len(found) not in sets:
        return found, None, np.zeros(0, bool)
    chosen, padded = sets[len(found)], np.zeros((sets[len(found)].size, 2))
    padded[: len(found)] = found
    return padded, chosen, np.arange(chosen.size) < len(found)


def _regressed(body: Body, mesh: NDArray, joint_set: JointSet) -> tuple[NDArray, NDArray]:
    """The joints of ``joint_set`` that the body's regressors know by name, and which those are."""
    joints, named = np.ones((joint_set.size, 3)), np.zeros(joint_set.size, bool)
    source, key = (COCO.names[:17], "coco") if joint_set == COCO18 else (HUMAN36.names, "human36")
    if body.has_joint_regressor(key):
        own = body.joint_regressor(key) @ mesh
        for row, name in enumerate(joint_set.names):
            if name in source:
                joints[row], named[row] = own[source.index(name)], True
    return joints, named
