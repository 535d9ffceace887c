"""Reading 2D poses: NumPy arrays and COCO keypoint JSON."""

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.errors import InputError
from openhmr.io.arrays import read_npy
from openhmr.joints import COCO, JointSet

MAX_JSON_BYTES = 64 << 20
MAX_NUMBERS = 1_000_000
MAX_POSES = 100
"""In one file: as many people are drawn into one picture; for more, pass arrays to the lifter."""
MAX_PIXEL = 1e5
MIN_JOINTS = 4
"""Fewer present joints than this do not tell one pose from another (ours)."""
MIN_SPAN_PX = 2.0
"""Smaller poses are degenerate, or were given in normalised coordinates (ours)."""

_NUM_COCO17 = 17
_MIDPOINTS = tuple(
    (COCO.names.index(name), tuple(COCO.names.index(f"{side}_{part}") for side in "LR"))
    for name, part in (("Pelvis", "Hip"), ("Neck", "Shoulder"))
)

logger = logging.getLogger(__name__)


class Pose2D(NamedTuple):
    """``joints (N,J,3)`` float32: x, y in pixels and confidence in [0, 1], 0 where a joint is missing (then x
    = y = 0); ``image_size (height, width)`` where the file tells it, else None."""

    joints: NDArray[np.float32]
    image_size: tuple[int, int] | None


def read_pose2d(path: str | Path, joint_set: JointSet, image: str | None = None) -> Pose2D:
    """Read ``.npy`` (``(J,2|3)`` or ``(N,J,2|3)``) or COCO keypoint ``.json`` (data set, result list, one
    annotation).

    ``image`` is a file name that selects the people of one picture where a JSON file holds several.
    Annotations with fewer than four labelled keypoints are skipped. Raises :class:`InputError`; see
    :func:`check_pose2d` for the values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not an existing file; give a .npy or COCO .json file with 2D poses")
    if path.suffix.lower() == ".npy":
        out = Pose2D(check_pose2d(read_npy(path, MAX_NUMBERS), joint_set, str(path)), None)
    elif path.suffix.lower() == ".json":
        out = _read_coco(path, joint_set, image)
    else:
        raise InputError(
            f"{path} is neither .npy nor .json; save 2D poses with numpy.save or as COCO keypoint JSON"
        )
    if len(out.joints) > MAX_POSES:
        raise InputError(
            f"{path} holds {len(out.joints)} people; at most {MAX_POSES} are taken from one file: split it"
        )
    return out


def check_pose2d(pose: ArrayLike, joint_set: JointSet, name: str = "pose") -> NDArray[np.float32]:
    """Clean poses ``(N,J,3)`` (see :class:`Pose2D`) from ``(J,2|3)`` or ``(N,J,2|3)`` numbers in pixels.

    The optional third column is a confidence in [0, 1], or COCO's visibility 0, 1, 2. For coco both 17 and 19
    joints are taken: Pelvis and Neck are the midpoints of hips and shoulders, present only if both are.
    Raises :class:`InputError`, whose sentence starts with ``name``.
    """
    try:
        array = np.asarray(pose)
    except ValueError:
        raise InputError(
            f"{name} has rows of different lengths; give all joints of everybody, each as x, y or x, y, "
            f"confidence"
        ) from None
    counts = (_NUM_COCO17, COCO.size) if joint_set.name == COCO.name else (joint_set.size,)
    allowed = f"({'|'.join(map(str, counts))}, 2|3) or (N, {'|'.join(map(str, counts))}, 2|3)"
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} holds {array.dtype} values; numbers of shape {allowed} are needed")
    if (
        array.ndim not in (2, 3)
        or array.shape[-1] not in (2, 3)
        or array.shape[-2] not in counts
        or array.shape[0] == 0
    ):
        needed = f"the {joint_set.name} joints need {allowed}"
        raise InputError(f"{name} has shape {array.shape}; {needed}: x, y and optionally a confidence")
    array = array.astype(np.float64)[None] if array.ndim == 2 else array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(
            f"{name} holds NaN or infinite values; write missing joints as 0, 0 with confidence 0 in a "
            f"third column"
        )
    out = np.ones((*array.shape[:2], 3))
    out[..., : array.shape[-1]] = array
    out[..., 2] = _confidence(out[..., 2], name)
    out[out[..., 2] == 0] = 0
    farthest = np.abs(out).max()
    if farthest > MAX_PIXEL:
        raise InputError(
            f"{name} has a coordinate of {farthest:.3g}; pixel coordinates up to {MAX_PIXEL:.0f} are allowed"
        )
    if joint_set.name == COCO.name and array.shape[-2] == _NUM_COCO17:
        out = _with_midpoints(out)
    _check_span(out, name)
    return out.astype(np.float32)


def _confidence(column: NDArray, name: str) -> NDArray:
    if np.all((column == 0) | (column == 1) | (column == 2)):
        return (column > 0).astype(np.float64)
    if column.min() < 0 or column.max() > 1:
        worst = column.min() if column.min() < 0 else column.max()
        allowed = "the third column must lie in 0..1, or be COCO's visibility 0, 1, 2"
        raise InputError(
            f"{name} has a confidence of {worst:.4g}; {allowed}: a third spatial coordinate is not taken"
        )
    return column


def _with_midpoints(pose: NDArray) -> NDArray:
    out = np.zeros((len(pose), COCO.size, 3))
    out[:, :_NUM_COCO17] = pose
    for row, pair in _MIDPOINTS:
        sides = pose[:, pair]
        out[:, row] = np.where(sides[..., 2].min(1, keepdims=True) > 0, sides.mean(1), 0)
    return out


def _check_span(poses: NDArray, name: str) -> None:
    for i, pose in enumerate(poses):
        who = name if len(poses) == 1 else f"{name}, pose {i},"
        xy = pose[pose[:, 2] > 0, :2]
        if len(xy) < MIN_JOINTS:
            raise InputError(
                f"{who} has {len(xy)} present joints; at least {MIN_JOINTS} are needed: drop this pose"
            )
        if np.ptp(xy, axis=0).max() < MIN_SPAN_PX:
            raise InputError(
                f"{who} has all its joints within {np.ptp(xy, axis=0).max():.3g} px; coordinates must be "
                f"pixels of a person at "
                f"least {MIN_SPAN_PX:g} px large: multiply normalised coordinates by the image size"
            )


def _read_coco(path: Path, joint_set: JointSet, image: str | None) -> Pose2D:
    if joint_set.name != COCO.name:
        name = joint_set.name
        raise InputError(
            f"{path} is JSON, which holds COCO keypoints; use the coco joints, or pass {name} poses as .npy"
        )
    size_bytes = path.stat().st_size
    if size_bytes > MAX_JSON_BYTES:
        raise InputError(
            f"{path} has {size_bytes:,} bytes; JSON of at most {MAX_JSON_BYTES:,} bytes is read: pass fewer "
            f"images"
        )
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InputError(
            f"{path} is not readable JSON ({str(error)[:80]}); save COCO keypoints as JSON"
        ) from None
    images: list[dict[str, Any]] = []
    if isinstance(content, dict) and "annotations" in content:
        annotations, images = content["annotations"], content.get("images", [])
    else:
        annotations = content if isinstance(content, list) else [content]
    if not _is_records(annotations) or not _is_records(images):
        raise InputError(
            f"{path} is not COCO keypoint JSON; allowed are a data set, a list of results, or one annotation"
        )
    annotations = [a for a in annotations if "keypoints" in a]
    annotations, size = _of_one_image(annotations, images, image, path)
    poses = [_keypoints(a["keypoints"], path) for a in annotations]
    kept = [p for p in poses if (p[:_NUM_COCO17, 2] > 0).sum() >= MIN_JOINTS]
    if not kept:
        raise InputError(
            f'{path} has no person with at least {MIN_JOINTS} labelled keypoints; check its "keypoints" lists'
        )
    if len(kept) < len(poses):
        skipped = len(poses) - len(kept)
        logger.warning(
            "%s: %d of %d people have fewer than %d keypoints and are skipped",
            path,
            skipped,
            len(poses),
            MIN_JOINTS,
        )
    if len({len(p) for p in kept}) > 1:
        raise InputError(f"{path} mixes people with 17 and with 19 keypoints; give all the same number")
    return Pose2D(check_pose2d(np.stack(kept), joint_set, str(path)), size)


def _is_records(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _keypoints(values: object, path: Path) -> NDArray:
    try:
        flat = np.asarray(values, np.float64).reshape(-1)
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f'{path} has a "keypoints" entry that is no list of numbers; write x, y, v for each joint'
        ) from None
    if flat.size not in (3 * _NUM_COCO17, 3 * COCO.size):
        allowed = "COCO has 51 (17 joints of x, y, v) or 57 (with Pelvis and Neck)"
        raise InputError(f'{path} has {flat.size} numbers in a "keypoints" list; {allowed}: complete it')
    if not np.isfinite(flat).all():
        raise InputError(
            f'{path} holds NaN or infinite values in "keypoints"; write missing joints as 0, 0, 0'
        )
    return flat.reshape(-1, 3)


def _of_one_image(
    annotations: list[dict[str, Any]], images: list[dict[str, Any]], image: str | None, path: Path
) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
    """The annotations of one picture, and its ``(height, width)`` if told."""
    ids = list(dict.fromkeys(str(a.get("image_id")) for a in annotations))
    if len(ids) > 1:
        wanted = {str(i.get("id")) for i in images if i.get("file_name") == image} if image else set()
        # Result lists name pictures by number alone; COCO's own file names are those numbers with leading
        # zeros.
        wanted = wanted or ({Path(image).stem.lstrip("0")} if image else set())
        ids = [i for i in ids if i in wanted]
        if len(ids) != 1:
            given = f"none of them is {image}" if image else "no image was given"
            raise InputError(
                f"{path} holds people of several images and {given}; pass the image, named as there, to "
                f"choose one"
            )
        annotations = [a for a in annotations if str(a.get("image_id")) == ids[0]]
    record = next((i for i in images if str(i.get("id")) == ids[0]), {}) if ids else {}
    size = record.get("height"), record.get("width")
    if size == (None, None):
        return annotations, None
    if not all(type(n) is int and 0 < n <= MAX_PIXEL for n in size):
        raise InputError(
            f"{path} says its picture is {size[1]!r} x {size[0]!r}; both must be whole numbers from 1 to "
            f"{MAX_PIXEL:.0f}"
        )
    return annotations, (int(size[0]), int(size[1]))  # type: ignore[arg-type]
