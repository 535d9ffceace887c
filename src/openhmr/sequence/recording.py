"""The people of a clip on disk, a file for every hundred frames: what an interrupted run goes on from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.joints import get_joint_set
from openhmr.keypoints import Keypoints
from openhmr.people import Frame, People, Rig, Sigma

FORMAT = "openhmr-recording-1"
CHUNK = 100
"""Frames a file."""
_SETTINGS = "clip.json"
_STATE = "state_"
MAX_NUMBERS = 50_000_000
_CAMERA = ("camera_K", "image_size", "camera_source", "camera_down")
_PEOPLE = ("track_ids", "pose", "betas", "translation", "pose2d", "boxes", "scores")
_ROWS = (*_PEOPLE, "joints_sigma", "rig_sigma")
"""Columns with a row a person. The last are deviations of the keypoints' joints and of the rig's."""
Array = NDArray[Any]


class Recording:
    """The ``folder`` of a clip's frames, of people of ``body``: parameters, not meshes, so that an hour of
    two people takes 200 MB. :meth:`append` takes frames; each file appears whole, with the state that the
    following frames depend on.

    ``settings`` are what the frames were made with; a folder that was begun with others is refused, and,
    unless ``resume``, one that was begun at all. ``taken`` is how many frames of the source are in complete
    files, ``state`` what the last of them holds; a file holds ``chunk`` frames.
    """

    def __init__(
        self,
        folder: Path,
        body: Body,
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
        chunk: int = CHUNK,
    ) -> None:
        self.folder, self.body, self._chunk = folder, body, chunk
        self.taken, self._kept, self.state = 0, 0, dict[str, Array]()
        self._waiting: list[dict[str, Array]] = []
        self._settings = dict(settings) | {"format": FORMAT, "body": body.content_hash()}
        if (folder / _SETTINGS).is_file():
            if not resume:
                raise InputError(
                    f"{folder} holds the frames of an earlier run; resume it, overwrite it, or choose "
                    f"another folder"
                )
            self._go_on()

    def _go_on(self) -> None:
        _check_settings(_read_settings(self.folder / _SETTINGS), self._settings, self.folder)
        files = self.files()
        if [f.name for f in files] != [f"frames_{i:06d}.npz" for i in range(len(files))]:
            raise InputError(
                f"{self.folder} lacks a file between {files[0].name} and {files[-1].name}; overwrite it, "
                f"or choose another folder"
            )
        if files:
            last = read_npz(files[-1], MAX_NUMBERS)
            if "taken" not in last:
                raise InputError(f"{files[-1]} is no part of a recording; remove it, or overwrite all")
            self.taken = self._kept = int(last["taken"])
            self.state = {k.removeprefix(_STATE): v for k, v in last.items() if k.startswith(_STATE)}

    def files(self) -> list[Path]:
        """The complete files, in the order of their frames."""
        return _files(self.folder)

    def append(self, frame: Frame | None, state: Mapping[str, Array]) -> None:
        """Keep a frame (None: the source had none that could be used) and, where a file is full, write it
        with the ``state`` behind it."""
        self.taken += 1
        if frame is not None:
            self._waiting.append(frame_columns(frame))
        if self.taken % self._chunk == 0:
            self.flush(state)

    def flush(self, state: Mapping[str, Array]) -> None:
        """Write the frames that wait for a full file: the clip has ended."""
        if self.taken == self._kept:
            return
        if not (self.folder / _SETTINGS).is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.folder / _SETTINGS) as temporary:
                temporary.write_text(json.dumps(self._settings, indent=1, sort_keys=True), encoding="utf-8")
        path = self.folder / f"frames_{(self.taken - 1) // self._chunk:06d}.npz"
        out = {f"{_STATE}{k}": v for k, v in state.items()} | {"taken": np.array(self.taken)}
        if self._waiting:
            out |= table(self._waiting)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **out)  # type: ignore[arg-type]
        self._waiting, self._kept = [], self.taken

    def frames(self) -> Iterator[Frame]:
        """All frames that are in files, with the meshes of their parameters, without pictures. Deviations of
        vertices follow from those of the rig's joints."""
        for path in self.files():
            yield from read_frames(path, self.body)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("frames_*.npz"))


def discard(folder: Path) -> None:
    """Remove a recording from its ``folder``, and what is empty then: the folder, and the one it is in."""
    if not (folder / _SETTINGS).is_file():
        return
    for path in (*_files(folder), folder / _SETTINGS):
        path.unlink(missing_ok=True)
    for place in (folder, folder.parent):
        if not any(place.iterdir()):
            place.rmdir()


def frame_columns(frame: Frame) -> dict[str, Array]:
    """What is kept of a frame: its ``numbers (1,)`` and ``times_s (1,)``, and a row for each of its people.

    Raises :class:`InputError` for people without body parameters or track ids.
    """
    people, keypoints = frame.people, frame.people.keypoints
    out: dict[str, Array | None] = {
        "numbers": np.array([frame.index], np.int64),
        "times_s": np.array([np.nan if frame.time_s is None else frame.time_s]),
        "people": np.array([len(people)]),
        "camera_K": people.camera.K,
        "image_size": np.array(people.camera.image_size),
        "camera_source": np.array(people.camera.source),
        "camera_down": people.camera.down,
    }
    if len(people):
        if people.rig is None or people.track_ids is None:
            raise InputError(
                "people of a clip need body parameters and track ids; recover or lift, then track them"
            )
        out |= {
            "joint_set": np.array(keypoints.joint_set.name),
            "track_ids": people.track_ids,
            "pose": people.rig.pose,
            "betas": people.rig.betas,
            "translation": people.rig.translation,
            "pose2d": keypoints.points,
            "boxes": keypoints.boxes,
            "scores": keypoints.scores,
        }
        if people.sigma is not None:
            share = np.abs(people.body.J_regressor).astype(np.float32)
            out |= {"joints_sigma": people.sigma.joints, "rig_sigma": np.matmul(share, people.sigma.vertices)}
    return {name: value for name, value in out.items() if value is not None}


def table(frames: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The :func:`frame_columns` of several frames as one table; columns that only some people have are left
    out."""
    named = [f for f in frames if "track_ids" in f]
    out = {name: np.concatenate([f[name] for f in frames]) for name in ("numbers", "times_s", "people")}
    out |= {name: frames[0][name] for name in _CAMERA if name in frames[0]}
    if named:
        out["joint_set"] = named[0]["joint_set"]
        out |= {n: np.concatenate([f[n] for f in named]) for n in _ROWS if all(n in f for f in named)}
    return out


def read_frames(path: Path, body: Body) -> Iterator[Frame]:
    """The frames of one file, for the ``body`` that it was made with. Raises :class:`InputError`."""
    data = read_npz(path, MAX_NUMBERS)
    camera, row = _camera(data), 0
    if camera is None:
        return
    for number, time_s, count in zip(data["numbers"], data["times_s"], data["people"], strict=True):
        people = _people(data, slice(row, row + int(count)), body, camera)
        row += int(count)
        yield Frame(int(number), {"body": people}, None if np.isnan(time_s) else float(time_s))


def _people(data: Mapping[str, Array], rows: slice, body: Body, camera: Camera) -> People:
    row = {name: data[name][rows] for name in _ROWS if name in data}
    joints = get_joint_set(str(data["joint_set"]) if "joint_set" in data else "coco")
    if rows.start == rows.stop:
        nobody = Keypoints.nobody(joints, camera.image_size)
        nothing = np.zeros((0, body.num_vertices, 3), np.float32)
        return People(body, camera, nobody, nothing, track_ids=np.zeros(0, np.int64))
    keypoints = Keypoints(joints, row["pose2d"], camera.image_size, row.get("boxes"), row.get("scores"))
    rig = Rig(row["pose"], row["betas"], row["translation"])
    skinned, _ = skin(body, rig.pose, rig.betas)
    vertices = skinned + rig.translation[:, None].astype(np.float32)
    sigma = None
    if "rig_sigma" in row:  # a vertex is as sure as the joints that move it
        sigma = Sigma(np.matmul(body.weights.astype(np.float32), row["rig_sigma"]), row["joints_sigma"])
    return People(body, camera, keypoints, vertices, rig, sigma, row["track_ids"])


def _camera(data: Mapping[str, Array]) -> Camera | None:
    if "camera_K" not in data:
        return None
    size = (int(data["image_size"][0]), int(data["image_size"][1]))
    source: Any = str(data["camera_source"])
    return Camera(data["camera_K"], size, source, down=data.get("camera_down"))


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path} was not written by this version of openhmr; choose another folder")
    return found


def _check_settings(begun: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> None:
    """Raises :class:`InputError` where a run would go on with other settings than it was begun with."""
    given = json.loads(json.dumps(given))
    for name in sorted(begun.keys() | given.keys()):
        if begun.get(name) != given.get(name):
            raise InputError(
                f"{folder} was begun with {name} = {str(begun.get(name))[:80]}, now it is "
                f"{str(given.get(name))[:80]}; give the same, or choose another folder"
            )
