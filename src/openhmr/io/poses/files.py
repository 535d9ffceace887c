"""Which format a file has, and what a folder of files is: a file a frame, or a file a person."""

import re
from collections import Counter
from pathlib import Path

from openhmr.errors import InputError
from openhmr.io.poses.arrays import read_array
from openhmr.io.poses.coco import is_coco, read_coco
from openhmr.io.poses.contents import Contents, Person, Wanted
from openhmr.io.poses.json_text import read_json
from openhmr.io.poses.mediapipe import is_mediapipe, read_mediapipe
from openhmr.io.poses.mmpose import is_mmpose, read_mmpose
from openhmr.io.poses.openpose import is_openpose, read_openpose
from openhmr.io.poses.pictures import choose
from openhmr.io.poses.tables import is_table, read_table
from openhmr.io.poses.trc import is_trc, read_trc
from openhmr.joints import JointSet
from openhmr.keypoints import Keypoints

FORMATS = (
    "JSON of COCO, COCO-WholeBody, OpenPose, AlphaPose, mmpose, MediaPipe, TRC of Sports2D, CSV with the "
    "names of the joints (wide, long, DeepLabCut's)"
)
"""What text files may hold."""

MAX_FILES = 100_000
"""In a folder."""

_JSON = (
    (is_openpose, read_openpose),
    (is_mediapipe, read_mediapipe),
    (is_mmpose, read_mmpose),
    (is_coco, read_coco),
)


def read_file(path: Path, wanted: Wanted) -> Contents | Keypoints:
    """Everybody in a file; of arrays of one picture its people. Raises :class:`InputError`."""
    if "\0" in str(path) or not path.is_file():
        raise InputError(
            f"{str(path)!r} is not an existing file; give a .npy, .npz, .json, .csv or .trc file of 2D poses"
        )
    with path.open("rb") as file:
        head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"\x93NUMPY", b"PK")):
        return read_array(path, wanted)
    if head[:1] in (b"{", b"["):
        return _json(path, wanted.joint_set)
    if is_trc(head):
        return read_trc(path, wanted.joint_set)
    if is_table(head):
        return read_table(path, wanted.joint_set)
    raise InputError(f"{path} holds no 2D poses; known are NumPy arrays, {FORMATS}")


def _json(path: Path, joint_set: JointSet | None) -> Contents:
    content = read_json(path)
    try:
        for recognised, read in _JSON:
            if recognised(content):
                return read(content, joint_set, path)
    except RecursionError:
        raise InputError(f"{path} nests lists too deeply; save the detector's output again") from None
    empty = "is empty JSON" if not content else "is JSON of no known format"
    raise InputError(f"{path} {empty} and has no person; known are {FORMATS}")


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; a name with a NUL character is none."""
    return "\0" not in str(path) and path.is_dir()


def frame_file(folder: Path, image: str | None, image_id: str | None) -> Path:
    """The file of one picture in a folder of files, one for each frame, as OpenPose writes them."""
    files = _json_files(folder)
    if image is None and image_id is None and len(files) > 1:
        raise InputError(
            f"{folder} is a folder of {len(files)} files, which is a sequence; poses of one picture are "
            f"read: give one of the files, or the picture or its id (such as {next(iter(files))!r})"
        )
    stem = None if image is None else Path(image).stem
    return files[str(choose(list(files), {}, stem, image_id, folder))]


def read_folder(folder: Path, wanted: Wanted) -> Contents:
    """Everybody in a folder: JSON files, one a frame, which are called as the frames; or TRC files, one a
    person, of the same frames. Raises :class:`InputError`."""
    traces = _trc_files(folder)
    if traces and not any(folder.glob("*.json")):
        return _of_people([read_trc(path, wanted.joint_set) for path in traces])
    files = _json_files(folder)
    _check_one_clip(list(files), folder)
    people, sizes = list[Person](), dict[str | None, tuple[object, object]]()
    for name, path in files.items():
        contents = _json(path, wanted.joint_set)
        pictures = list(dict.fromkeys(p.picture for p in contents.people))
        if len(pictures) > 1:
            raise InputError(
                f"{path} holds people of {len(pictures)} pictures, in a folder of {len(files)} files; give "
                f"that file alone, or a folder of files of one picture each"
            )
        people += [Person(p.joint_set, p.points, name, p.score, p.hands) for p in contents.people]
        sizes[name] = contents.sizes.get(pictures[0]) or (None, None) if pictures else (None, None)
    return Contents(people, sizes=sizes, pictures=list(files))


def _json_files(folder: Path) -> dict[str, Path]:
    files = {f.stem.removesuffix("_keypoints"): f for f in sorted(folder.glob("*.json"))}
    if not files:
        raise InputError(f"{folder} is a folder without JSON files; give a file of 2D poses")
    if len(files) > MAX_FILES:
        raise InputError(
            f"{folder} holds {len(files):,} JSON files; at most {MAX_FILES:,} are read: split it"
        )
    return files


def _trc_files(folder: Path) -> list[Path]:
    """One for each person; Sports2D writes each in pixels and in metres."""
    files = sorted(folder.glob("*.trc"))[:MAX_FILES]
    return [f for f in files if "_px_" in f.name] or files


def _of_people(each: list[Contents]) -> Contents:
    times = {i: time for contents in each for i, time in contents.times.items()}
    pictures = list(dict.fromkeys(i for contents in each for i in contents.pictures))
    return Contents([p for contents in each for p in contents.people], times=times, pictures=pictures)


def _check_one_clip(names: list[str], folder: Path) -> None:
    """Files of two cameras or clips in one folder have the same numbers behind several names."""
    numbered = [found.groups() for name in names if (found := re.fullmatch(r"(.*?)(\d{1,18})", name))]
    clips = Counter(clip for clip, _ in numbered)
    several = [clip for clip, count in clips.items() if count > 1]
    numbers = Counter(int(number) for clip, number in numbered if clip in several)
    if len(several) > 1 and max(numbers.values()) > 1:
        raise InputError(
            f"{folder} holds files of several clips, such as {several[0]!r} and {several[1]!r}; give a "
            f"folder of one"
        )
