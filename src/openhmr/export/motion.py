"""People of a clip as motions of skeletons: what files of animations and angles are made from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.export.sink import Sink
from openhmr.export.world import world_from_camera
from openhmr.geometry.quaternions import exp, log, slerp
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints.mano import MANO_PARENTS, MANO_TREE
from openhmr.joints.smpl import SMPL, SMPL_PARENTS
from openhmr.people import Frame, People, Rig

RATE_HZ = 30.0
"""Of frames that do not tell their time."""

_UNEVEN = 0.02
"""Of a period: frames that are off by more than this are resampled where a file has one rate."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Motion:
    """One person of a clip, on the T frames where it was seen: the ``name`` ``person_7`` and number.

    ``pose (T,J,3)`` axis-angle relative to the parent joint (radians; the root: relative to the files' axes,
    see :func:`~openhmr.export.world.world_from_camera`), ``root (T,3)`` where the root joint is (metres),
    ``betas (S,)`` the mean over the clip, ``frames (T,)`` which of the clip's frames these are, and
    ``times_s (T,)`` when, from the first frame of the clip.
    """

    name: str
    person: int
    body: Body
    pose: Array
    root: Array
    betas: NDArray[np.float32]
    frames: NDArray[np.int64]
    times_s: Array

    @cached_property
    def rest_vertices(self) -> Array:
        """``(V,3)``: the T-pose of this shape, metres, body axes."""
        return self.body.v_template + self.body.shapedirs.astype(np.float64) @ self.betas

    @cached_property
    def rest_joints(self) -> Array:
        """``(J,3)``: where the joints of the T-pose are."""
        return self.body.J_regressor @ self.rest_vertices

    @cached_property
    def bones(self) -> Array:
        """``(J,3)``: from the parent's joint to each, in the T-pose; zero for the root."""
        parents = np.maximum(self.body.parents, 0)
        return self.rest_joints - self.rest_joints[parents]

    @property
    def is_body(self) -> bool:
        """Whether this has SMPL's tree of joints, as against a hand."""
        return is_body(self.body)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """SMPL's or MANO's for their trees, else numbers."""
        if self.is_body:
            return SMPL.names
        if tuple(self.body.parents) == MANO_PARENTS:
            return MANO_TREE
        return tuple(f"joint_{j}" for j in range(self.body.num_joints))

    def evenly(self, period_s: float) -> "Motion":
        """The same motion every ``period_s``: as it is where the frames are that even, else interpolated,
        also across frames where the person was not seen."""
        count = round(float(self.times_s[-1] - self.times_s[0]) / period_s) + 1
        times = self.times_s[0] + period_s * np.arange(count)
        if count == len(self.times_s) and np.abs(times - self.times_s).max() <= _UNEVEN * period_s:
            return self
        after = np.clip(np.searchsorted(self.times_s, times), 1, len(self.times_s) - 1)
        before = after - 1
        share = (times - self.times_s[before]) / (self.times_s[after] - self.times_s[before])
        share = share.clip(0, 1)
        turns = exp(self.pose)
        pose = log(slerp(turns[before], turns[after], share[:, None]))
        root = self.root[before] + share[:, None] * (self.root[after] - self.root[before])
        nearest = self.frames[np.where(share > 0.5, after, before)]
        return replace(self, pose=pose, root=root, frames=nearest, times_s=times)


@dataclass(frozen=True, eq=False)
class Clip:
    """The ``motions`` of everybody in a clip of ``len(times_s)`` frames, ``times_s (F,)`` from its first,
    which is ``start_s`` into the video; ``period_s`` between frames."""

    motions: tuple[Motion, ...]
    camera: Camera
    times_s: Array
    start_s: float
    period_s: float

    @property
    def bodies(self) -> list[Motion]:
        """The motions of whole bodies, not of hands."""
        return [motion for motion in self.motions if motion.is_body]


class MotionSink(Sink):
    """Keeps pose, shape and place of everybody (a few hundred bytes a frame, no meshes) and gives them to
    ``write(path, clip)`` once the clip is complete.

    Who is who is told by ``track_ids``; without them, a picture's people are numbered, and a clip of one
    person needs none. Frames without times follow each other at ``rate_hz``. Raises :class:`InputError` for
    people without body parameters, and for several people in a clip of whom nobody said who is who.
    """

    def __init__(self, path: Path, write: Callable[[Path, Clip], None], rate_hz: float = RATE_HZ) -> None:
        self._path, self._write, self._rate = path, write, rate_hz
        self._times: list[float] = []
        self._seen: dict[str, list[tuple[int, Array, Array, NDArray[np.float32]]]] = {}
        self._bodies: dict[str, Body] = {}
        self._camera: Camera | None = None
        self._numbered = False

    def __enter__(self) -> "MotionSink":
        return self

    def append(self, frame: Frame) -> None:
        number, time = len(self._times), time_of(frame, self._rate)
        if self._times and time <= self._times[-1]:
            raise InputError(
                f"frame {frame.index} is of {time:g} s, after one of {self._times[-1]:g} s; give frames in "
                f"the order of their times"
            )
        self._times.append(time)
        for part, people in frame.groups.items():
            self._camera = self._camera or people.camera
            self._numbered |= people.track_ids is None and len(people) > 1
            if self._numbered and number:
                raise InputError(
                    "several people in a clip have no track ids, so that nobody knows who is who; track "
                    "them, or give each person's frames alone"
                )
            self._add(number, "person" if part == "body" else part, people)

    def _add(self, number: int, prefix: str, people: People) -> None:
        if not len(people):
            return
        rig, body = rig_of(people), people.body
        assert self._camera is not None
        world = world_from_camera(self._camera)
        pose = rig.pose.astype(np.float64)
        if body.hands_mean is not None:
            pose[:, 1:] += body.hands_mean.reshape(-1, 3)
        pose[:, 0] = matrix_to_axis_angle(world @ axis_angle_to_matrix(pose[:, 0]))
        mean, shapes = _root_of(body)
        root = mean + rig.betas @ shapes.T
        place = (root + rig.translation) @ world.T
        for i, person in enumerate(person_ids(people)):
            name = f"{prefix}_{person}"
            self._bodies[name] = body
            self._seen.setdefault(name, []).append((number, pose[i], place[i], rig.betas[i]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        if self._camera is None:
            raise InputError("the clip has no frames, so nothing can be written; give one at least")
        times = np.array(self._times)
        period = period_of(times, self._rate)
        start = float(times[0])
        motions = tuple(self._motion(name, times - start) for name in sorted(self._seen, key=_by_number))
        self._write(self._path, Clip(motions, self._camera, times - start, start, period))

    def _motion(self, name: str, times: Array) -> Motion:
        frames, pose, root, betas = zip(*self._seen[name], strict=True)
        shape = np.array(betas, np.float64).mean(0).astype(np.float32)
        return Motion(
            name,
            _by_number(name)[1],
            self._bodies[name],
            np.array(pose),
            np.array(root),
            shape,
            np.array(frames),
            times[[*frames]],
        )


@lru_cache(maxsize=8)
def _root_of(body: Body) -> tuple[Array, Array]:
    """Where the root joint of the T-pose is, ``(3,)``, and how it moves with the betas, ``(3,S)``."""
    weights = body.J_regressor[0].astype(np.float64)
    return weights @ body.v_template, np.einsum("v,vcs->cs", weights, body.shapedirs)


def _by_number(name: str) -> tuple[str, int]:
    prefix, _, number = name.rpartition("_")
    return prefix, int(number)


def of_person(path: Path, name: str) -> Path:
    """``person_poses.npz`` as ``person_3_poses.npz``."""
    return path.with_name(path.name.replace("person", name, 1))


def rig_of(people: People) -> Rig:
    """Their body parameters; raises :class:`InputError` where there are none."""
    if people.rig is None:
        raise InputError(
            "these people have no body parameters, which skeletons and angles are made of; lift them through "
            "a Pipeline, which fits some, or recover them from a photo"
        )
    return people.rig


def is_body(body: Body) -> bool:
    """Whether ``body`` has SMPL's tree of joints."""
    return tuple(body.parents) == SMPL_PARENTS


def person_ids(people: People) -> list[int]:
    """Track ids, or the numbers of the rows where nobody is tracked."""
    if people.track_ids is None:
        return list(range(len(people)))
    return [int(person) for person in people.track_ids]


def period_of(times_s: Array | list[float], rate_hz: float) -> float:
    """Seconds between frames: what half of the ``times_s (F,)`` are at most apart, so that a few frames that
    are left out do not change it; of a single frame, that of ``rate_hz``."""
    apart = np.sort(np.diff(times_s))
    return float(apart[(len(apart) - 1) // 2]) if len(apart) else 1 / rate_hz


def time_of(frame: Frame, rate_hz: float) -> float:
    """Seconds: the frame's own time, or by its number."""
    return frame.index / rate_hz if frame.time_s is None else float(frame.time_s)
