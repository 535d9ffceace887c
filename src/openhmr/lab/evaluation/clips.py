"""Clips whose 2D and 3D points are another network's predictions: agreement with it, which is no accuracy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.images import read_image
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO, MEDIAPIPE33, JointSet
from openhmr.keypoints import Keypoints
from openhmr.lab.evaluation.mediapipe_pose import MediaPipePose
from openhmr.lab.evaluation.real_frames import read_frames
from openhmr.lab.metrics.errors import kept_errors
from openhmr.people import Frame
from openhmr.pipeline import Picture

REQUIRED = ("frames", "names", "joints2d_px", "truth", "size_wh")
COLUMNS = ("joints seen", "mesh", "PA 3D")
"""Distance of the 2D joints that a method saw, and of its mesh's projected joints, from the clip's, in per
cent of the longer side of the box around these; and the 3D distance after Procrustes alignment in mm."""


@dataclass(frozen=True, eq=False)
class Clip:
    """``points (n,K,2)`` in pixels of the ``frames (n,)`` of a video (a picture has one), and ``joints_m
    (n,K,3)`` where there are any, of the base joints of ``joint_set``. ``truth`` says who predicted them;
    ``image_size`` is (height, width)."""

    name: str
    joint_set: JointSet
    frames: NDArray[np.int64]
    points: NDArray[np.float64]
    joints_m: NDArray[np.float64] | None
    truth: str
    image_size: tuple[int, int]

    def item(self, row: int) -> str:
        """Name of the prediction for one of the frames."""
        return f"{self.name}_{self.frames[row]:04d}"


def is_clip(path: Path) -> bool:
    """Whether a pack holds a clip with predictions, not frames with a 3D reference."""
    return "joints2d_px" in read_npz(path, 50_000_000)


def read_clip(path: Path) -> Clip:
    """Read a pack of predictions. Raises :class:`InputError` for other files and for other points than COCO's
    17 or MediaPipe's 33 of one body."""
    data = read_npz(path, 50_000_000)
    if missing := [k for k in REQUIRED if k not in data]:
        raise InputError(f"{path} lacks {', '.join(missing)}; a clip's pack has {', '.join(REQUIRED)}")
    names = [_named(str(n)) for n in data["names"]]
    known = [s for s in (COCO, MEDIAPIPE33) if [n.lower() for n in s.base] == names]
    if not known:
        raise InputError(
            f"{path} has the {len(names)} points {', '.join(map(str, data['names'][:4]))} ...; clips with "
            f"COCO's 17 or MediaPipe's 33 points of a body are compared, in their order"
        )
    width, height = (int(n) for n in data["size_wh"])
    joints = data["joints3d_m"].astype(np.float64) if "joints3d_m" in data else None
    points, frames = data["joints2d_px"].astype(np.float64), data["frames"].astype(np.int64)
    if points.shape != (len(frames), len(names), 2) or (
        joints is not None and joints.shape[:2] != points.shape[:2]
    ):
        raise InputError(
            f"{path} has joints2d_px of shape {points.shape}; {len(frames)} frames of {len(names)} points "
            f"need ({len(frames)}, {len(names)}, 2), and joints3d_m as many"
        )
    return Clip(path.stem, known[0], frames, points, joints, str(data["truth"]), (height, width))


def _named(name: str) -> str:
    """``left_foot_index`` or ``mouth_left`` as joint sets name it, in lower case."""
    words = name.lower().split("_")
    for side in ("left", "right"):
        if side in words:
            words.remove(side)
            return "_".join([side[0], *words])
    return "_".join(words)


def clip_pictures(clip: Clip, videos: Path | None, count: int | None = None) -> Iterator[Picture]:
    """The clip's frames, ``count`` evenly taken (None: all): with its own points, to be lifted, or from the
    video or picture of its name in the folder ``videos``."""
    total = len(clip.frames)
    rows = np.linspace(0, total - 1, min(count or total, total)).round().astype(int)
    if videos is None:
        for row in rows:
            points = np.concatenate([clip.points[row], np.ones((len(clip.points[row]), 1))], -1)
            keypoints = Keypoints(clip.joint_set, check_pose2d(points, clip.joint_set), clip.image_size)
            yield Picture(keypoints=keypoints, name=clip.item(row))
        return
    files = sorted(p for p in videos.glob(f"{clip.name}.*") if p.suffix != ".npz")
    if len(files) != 1:
        found = ", ".join(p.name for p in files) or "none"
        raise InputError(f"{videos} must hold one video or picture named {clip.name}; found: {found}")
    if files[0].suffix in (".jpg", ".png"):
        images = dict.fromkeys(clip.frames[rows].tolist(), read_image(files[0]))
    else:
        images = read_frames(files[0], set(clip.frames[rows].tolist()))
    for row in rows:
        image = images[int(clip.frames[row])]
        if image.shape[:2] != clip.image_size:
            raise InputError(
                f"{files[0]} has frames of (height, width) {image.shape[:2]}, but the clip's points lie in "
                f"{clip.image_size}; give the clip's own file"
            )
        yield Picture(image, name=clip.item(row))


def agreements(clip: Clip, frames: Iterable[Frame]) -> dict[str, tuple[float, ...]]:
    """Item -> the numbers of :data:`COLUMNS` for those ``frames`` of :func:`clip_pictures` in which somebody
    was seen: of several people the one nearest to the clip's."""
    rows = {clip.item(row): row for row in range(len(clip.frames))}
    out = dict[str, tuple[float, ...]]()
    for frame in frames:
        people, row = frame.people, rows[str(frame.name)]
        if not len(people):
            continue
        joints = people.joints(clip.joint_set).astype(np.float64)
        # Joints that the clip knows, by name: in the people's keypoints, and among the clip's.
        seen = people.keypoints
        pairs = [
            (seen.joint_set.names.index(n), k)
            for k, n in enumerate(clip.joint_set.base)
            if n in seen.joint_set.names
        ]
        theirs, ours = ([p[i] for p in pairs] for i in (1, 0))
        mesh = people.camera.project(joints)[:, : len(clip.joint_set.base)]
        i = int(np.linalg.norm(mesh - clip.points[row], axis=-1).mean(1).argmin())
        drawn = _share(mesh[i], clip.points[row], clip.points[row])
        dots = _share(seen.points[i, ours, :2], clip.points[row][theirs], clip.points[row])
        out[str(frame.name)] = (
            dots if frame.image is not None else np.nan,
            drawn,
            _aligned(clip, row, joints[i]),
        )
    return out


def rival_agreements(
    clip: Clip, pose: MediaPipePose, pictures: Iterable[Picture]
) -> dict[str, tuple[float, ...]]:
    """The same for MediaPipe, which draws no mesh."""
    rows = {clip.item(row): row for row in range(len(clip.frames))}
    out = dict[str, tuple[float, ...]]()
    columns = [MEDIAPIPE33.names.index(n) for n in clip.joint_set.base]
    for picture in pictures:
        assert picture.image is not None
        row, found = rows[str(picture.name)], pose(picture.image)
        if found is not None:
            dots = _share(found[1][columns, :2], clip.points[row], clip.points[row])
            out[str(picture.name)] = (dots, np.nan, _aligned(clip, row, found[0][columns]))
    return out


def _share(a: NDArray, b: NDArray, around: NDArray) -> float:
    """Mean distance of points ``(K,2)``, in per cent of the longer side of the box around others."""
    return 100 * float(np.linalg.norm(a - b, axis=-1).mean() / np.ptp(around, axis=0).max())


def _aligned(clip: Clip, row: int, joints: NDArray) -> float:
    """PA distance in mm of joints ``(J,3)``, the first of them the clip's, in metres."""
    if clip.joints_m is None:
        return float("nan")
    truth = clip.joints_m[row]
    return 1000 * kept_errors(joints[: len(truth)], truth, np.ones(len(truth), bool), 0)[1]
