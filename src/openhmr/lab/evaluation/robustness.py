"""How errors and uncertainty grow as pictures get worse: our networks and a rival's on the same pictures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from openhmr.errors import InputError
from openhmr.joints import COCO, MEDIAPIPE33
from openhmr.lab.evaluation.degradations import BASE_PX, SWEEPS, Shot, Sweep, cropped, shrunk
from openhmr.lab.evaluation.mediapipe_pose import MediaPipePose
from openhmr.lab.evaluation.real_frames import FOR_PICTURES, cameras_of, pictures_of, read_pack
from openhmr.lab.metrics.errors import kept_errors, mean_distance, root_relative
from openhmr.pipeline import Picture, Pipeline

SEED = 2020
MARGIN = 0.25
"""Of the longer side of a given box, added around it where a rival takes a picture instead of a box."""
UPPER = tuple(
    COCO.names.index(n)
    for n in ("Nose", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist")
)
"""The upper body, whose change is measured where the legs are cut off."""
HIPS, SHOULDERS = ([COCO.names.index(f"{side}_{part}") for side in "LR"] for part in ("Hip", "Shoulder"))

COLUMNS = (
    "MPJPE",
    "PA-MPJPE",
    "sigma",
    "sigma outside",
    "visibility",
    "upper body change",
    "upper body change, neck",
)
"""Means over the pictures in which the person was found: errors in mm over the scored joints in the picture
(relative to the hips' middle while both hips are in it, else to the shoulders'); the expected error in mm,
the root of the three variances summed, of those joints and of the scored ones that are not in the picture; a
rival's visibility in place of it; and how far the upper body is in mm from what the same method sees in the
whole picture, relative to the hips' and to the shoulders' middle."""


@dataclass(frozen=True, eq=False)
class Guess:
    """What a method sees in a picture: COCO ``joints_m (19,3)`` in metres and camera axes about any origin,
    ``sigma_m (19,)`` how large it expects their errors to be, or ``visibility (19,)`` in 0..1; nan where it
    tells none."""

    joints_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    visibility: NDArray[np.float64]


Method = Callable[[Shot], Guess | None]
"""Finds the person of a shot; None if it finds nobody, or somebody else."""


def by_pipeline(pipeline: Pipeline) -> Method:
    """What a pipeline of ours sees: of several people the one at the true person's place."""

    def see(shot: Shot) -> Guess | None:
        box = shot.box[None] if shot.box_given else None
        people = pipeline.frame(Picture(shot.image, boxes=box, camera=shot.camera)).people
        if not len(people):
            return None
        joints = people.joints(COCO).astype(np.float64)
        row = _the_person(people.camera.project(joints), shot)
        if row is None:
            return None
        sigma = np.full(COCO.size, np.nan)
        if people.sigma is not None:
            sigma = np.linalg.norm(people.sigma.joints[row], axis=-1).astype(np.float64)
        return Guess(joints[row], sigma, np.full(COCO.size, np.nan))

    return see


def by_mediapipe(pose: MediaPipePose) -> Method:
    """What MediaPipe Pose sees, by its own detector: of a given box the picture around it."""
    rows = [MEDIAPIPE33.names.index(n) for n in COCO.names]

    def see(shot: Shot) -> Guess | None:
        if shot.box_given:
            margin = MARGIN * shot.size_px
            shot = cropped(shot, shot.box[:2] - margin, shot.box[:2] + shot.box[2:] + margin)
        found = pose(shot.image)
        if found is None or _the_person(found[1][None, rows, :2], shot) is None:
            return None
        return Guess(found[0][rows], np.full(COCO.size, np.nan), found[1][rows, 2])

    return see


def _the_person(points: NDArray, shot: Shot) -> int | None:
    """The one of ``points (N,19,2)`` whose joints lie nearest to the true ones in the picture; None if these
    are half the person's size away, or more."""
    keep = shot.valid & shot.inside
    truth = shot.camera.project(shot.joints_m)
    distance = np.linalg.norm(points - truth, axis=-1)[:, keep].mean(1)
    row = int(distance.argmin())
    return row if distance[row] < shot.size_px / 2 else None


def shots(pack: Path, videos: Path, count: int | None) -> Iterator[Shot]:
    """``count`` items of a pack of real frames with their 3D reference, evenly taken (None: all), without
    lens distortion, as large as :data:`~openhmr.lab.evaluation.degradations.BASE_PX` says."""
    data = read_pack(pack, pictures=True)
    lacking = [k for k in ("joints_cam_mm", "valid") if k not in data]
    if lacking or list(data["joint_names"]) != list(COCO.names):
        what = "other joints than COCO's 19" if not lacking else f"no {' and no '.join(lacking)}"
        raise InputError(f"{pack} has {what}; robustness is measured against the 3D truth of those joints")
    total = len(data["item_ids"])
    rows = np.linspace(0, total - 1, min(count or total, total)).round().astype(int)
    chosen = {k: data[k][rows] for k in ("item_ids", "view", *FOR_PICTURES) if k != "dist"}
    places = {str(name): row for row, name in enumerate(data["item_ids"])}
    for picture in pictures_of(chosen, videos, cameras_of(data)):
        assert picture.image is not None and picture.camera is not None and picture.boxes is not None
        row, camera = places[str(picture.name)], picture.camera
        shot = Shot(
            camera.undistort_image(picture.image),
            camera.straight(),
            data["joints_cam_mm"][row].astype(np.float64) / 1000,
            data["valid"][row].astype(bool),
            camera.undistort_boxes(picture.boxes)[0],
        )
        yield shrunk(shot, BASE_PX)


def scores(
    guess: Guess | None, shot: Shot, scored: NDArray[np.bool_], whole: Guess | None = None
) -> tuple[float, ...] | None:
    """The numbers of :data:`COLUMNS`, None for nobody; ``whole`` is what the method saw in the whole picture,
    where that is asked for."""
    if guess is None:
        return None
    keep, outside = (scored & shot.valid & part for part in (shot.inside, ~shot.inside))
    root = HIPS if shot.inside[HIPS].all() else SHOULDERS
    errors = [1000 * e for e in kept_errors(guess.joints_m, shot.joints_m, keep, root)]
    changes = [np.nan, np.nan]
    if whole is not None:
        upper = [i for i in UPPER if shot.inside[i]]
        for k, about in enumerate((HIPS, SHOULDERS)):
            ours, theirs = (root_relative(g.joints_m, g.joints_m[about].mean(0)) for g in (guess, whole))
            changes[k] = 1000 * float(mean_distance(ours[upper], theirs[upper]))
    sigma, rest = (1000 * guess.sigma_m[rows].mean() if rows.any() else np.nan for rows in (keep, outside))
    return (*errors, sigma, rest, float(guess.visibility[keep].mean()), *changes)


def measure(
    source: Iterator[Shot],
    methods: Mapping[str, Method],
    scored: NDArray[np.bool_],
    sweeps: Mapping[str, Sweep] = SWEEPS,
    total: int | None = None,
) -> list[dict[str, object]]:
    """One row for each sweep, strength and method: how many pictures, in how many of them in per cent the
    person was found, and the means of :data:`COLUMNS`, empty where there are none. ``scored (19,)`` marks the
    joints that count."""
    found: dict[tuple[str, str, str], list[tuple[float, ...] | None]] = {
        (sweep, str(strength), method): []
        for sweep, s in sweeps.items()
        for strength in ((s.untouched,) if s.untouched else ()) + s.strengths
        for method in methods
    }
    for number, shot in enumerate(tqdm(source, total=total, desc="pictures", delay=1)):
        untouched = {name: see(shot) for name, see in methods.items()}
        clean = {n: scores(g, shot, scored) for n, g in untouched.items()}
        for index, (sweep, s) in enumerate(sweeps.items()):
            if s.untouched:
                for name in methods:
                    found[sweep, s.untouched, name].append(clean[name])
            for strength in s.strengths:
                # All strengths of a sweep draw the same directions and places.
                worse = s.degrade(shot, strength, np.random.default_rng([SEED, number, index]))
                for name, see in methods.items():
                    guess, whole = see(worse), untouched[name] if sweep == "cut" else None
                    found[sweep, str(strength), name].append(scores(guess, worse, scored, whole))
    return [
        {"degradation": sweep, "strength": strength, "method": method, **_row(results)}
        for (sweep, strength, method), results in found.items()
    ]


def _row(results: list[tuple[float, ...] | None]) -> dict[str, object]:
    numbers = np.array([r for r in results if r is not None]).reshape(-1, len(COLUMNS))
    row: dict[str, object] = {"pictures": len(results), "found %": 100 * len(numbers) / max(len(results), 1)}
    for name, column in zip(COLUMNS, numbers.T, strict=True):
        known = column[np.isfinite(column)]
        digits = 3 if name == "visibility" else 1
        row[name] = round(float(known.mean()), digits) if len(known) else ""
    return row
