"""Smoothing of a stream as it comes: the One-Euro filter (Casiez et al. 2012) on rotations, places and shape.

It knows nothing of what follows, so that it lags behind quick motion a little; for files there is
:func:`~openhmr.sequence.smooth_clip.smooth_clip`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.bodies.stature import tpose_heights
from openhmr.errors import InputError
from openhmr.geometry import quaternions
from openhmr.geometry.quaternions import Quaternions
from openhmr.people import Frame, Part, People, Rig
from openhmr.sequence.penalised import Array

FPS = 30.0
"""Of frames that have no times."""
FORGET_S = 1.0
"""Whoever was not seen for longer starts anew."""
SHAPE_S = 10.0
"""The shape is the mean of about so many seconds."""


@dataclass(frozen=True)
class OneEuro:
    """Cutoffs in Hz: ``still`` for what rests, ``quick`` more for every unit (radian or metre) a second,
    ``speed`` for the speed itself. ``deep`` is the share of all this that counts along the line of sight."""

    still: float = 2.0
    quick: float = 3.0
    speed: float = 1.0
    deep: float = 0.1


class _Filter:
    """One-Euro on vectors that are differences from the last value: ``step(off, dt)`` tells how much of the
    way to go."""

    def __init__(self, settings: OneEuro, shape: tuple[int, ...]) -> None:
        self._settings, self._slope = settings, np.zeros(shape)

    def step(self, off: Array, dt: float) -> Array:
        self._slope = self._slope + _share(self._settings.speed, dt) * (off / dt - self._slope)
        speed = np.linalg.norm(self._slope, axis=-1, keepdims=True)
        return _share(self._settings.still + self._settings.quick * speed, dt)


def _share(cutoff_hz: Array | float, dt: float) -> Array:
    r = 2 * np.pi * np.asarray(cutoff_hz) * dt
    return r / (r + 1)


class LivePerson:
    """One person of a stream. ``__call__`` takes what was seen at a time and returns the smooth ``turns
    (J,4)``, ``betas (S,)`` and root joint's ``place (3,)``. The first frame passes unchanged."""

    def __init__(self, settings: OneEuro) -> None:
        self._settings = settings
        self.time_s: float | None = None

    @property
    def shape(self) -> Array:
        """The mean shape ``(S,)`` until now."""
        return self._betas

    def __call__(
        self, time_s: float, turns: Quaternions, betas: Array, place: Array
    ) -> tuple[Quaternions, Array, Array]:
        if self.time_s is None:
            self._turns, self._betas, self._place, self._age = turns, betas, place, 0.0
            self._turning = _Filter(self._settings, (len(turns), 3))
            self._moving = _Filter(self._settings, (3,))
            self.time_s = time_s
            return turns, betas, place
        dt = time_s - self.time_s
        if not dt > 0:
            raise InputError(f"time {time_s} s does not follow {self.time_s} s; give frames in their order")
        self.time_s, self._age = time_s, min(self._age + dt, SHAPE_S)
        off = quaternions.log(quaternions.multiply(turns, quaternions.inverse(self._turns)))
        turn = quaternions.exp(self._turning.step(off, dt) * off)
        self._turns = quaternions.multiply(turn, self._turns)
        self._turns /= np.linalg.norm(self._turns, axis=-1, keepdims=True)
        # A running mean: of n frames the last counts 1/n.
        self._betas = self._betas + dt / (self._age + dt) * (betas - self._betas)
        way = place - self._place
        sight = self._place / max(float(np.linalg.norm(self._place)), 1e-9)
        along = (way @ sight) * sight
        share = self._moving.step(way - (1 - self._settings.deep) * along, dt)
        deep = _share(self._settings.deep * _cutoff(share, dt), dt)
        self._place = self._place + share * (way - along) + deep * along
        return self._turns, self._betas, self._place


def _cutoff(share: Array, dt: float) -> Array:
    """The inverse of :func:`_share`."""
    return share / np.maximum(1 - share, 1e-9) / (2 * np.pi * dt)


class LiveSmoother:
    """``smoother(frame) -> frame``: the people of a stream made smooth as they come, everybody by their track
    id (a single person needs none).

    People need body parameters; their meshes are skinned anew. Raises :class:`InputError`.
    """

    def __init__(self, settings: OneEuro | None = None) -> None:
        self._settings = settings or OneEuro()
        self._known: dict[tuple[Part, int], LivePerson] = {}

    def __call__(self, frame: Frame) -> Frame:
        time_s = frame.index / FPS if frame.time_s is None else frame.time_s
        groups = {part: self._people(part, people, time_s) for part, people in frame.groups.items()}
        return replace(frame, groups=groups)

    def _people(self, part: Part, people: People, time_s: float) -> People:
        if not len(people):
            return people
        if people.rig is None:
            raise InputError(
                "these people have no body parameters, which are made smooth; recover them from pictures, or "
                "lift them through a Pipeline"
            )
        if people.track_ids is None and len(people) > 1:
            raise InputError(f"{len(people)} people have no track ids; track them first")
        ids = np.zeros(1, np.int64) if people.track_ids is None else people.track_ids
        rig, rest = people.rig, _roots(people.body, people.rig.betas)
        out = []
        for i, number in enumerate(ids.tolist()):
            person = self._known.get((part, number))
            if person is None or (person.time_s is not None and time_s - person.time_s > FORGET_S):
                person = self._known[part, number] = LivePerson(self._settings)
            betas = rig.betas[i].astype(np.float64)
            turns = quaternions.exp(rig.pose[i])
            # Size and distance are seen together; of both only one shape's size is taken.
            known = betas if person.time_s is None else person.shape
            tall = tpose_heights(people.body, np.stack([known, betas]))
            out.append(person(time_s, turns, betas, (rig.translation[i] + rest[i]) * tall[0] / tall[1]))
        turns, shapes, places = (np.stack(column) for column in zip(*out, strict=True))
        shapes = shapes.astype(np.float32)
        moved = Rig(quaternions.log(turns).astype(np.float32), shapes, places - _roots(people.body, shapes))
        vertices, _ = skin(people.body, moved.pose, shapes)
        vertices = vertices + moved.translation[:, None].astype(np.float32)
        return replace(people, vertices=vertices, rig=moved, sigma=None, lixel_vertices=None)


def _roots(body: Body, betas: NDArray) -> Array:
    """Where root joints rest ``(N,3)``."""
    row = body.J_regressor[0].astype(np.float64)
    return row @ body.v_template + betas @ np.einsum("v,vcs->sc", row, body.shapedirs)
