"""Who is who from frame to frame: people keep their number through crossings and gaps of a second (ours)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from openhmr.camera import Camera
from openhmr.geometry.boxes import overlaps
from openhmr.people import People
from openhmr.sequence.assign import assign
from openhmr.sequence.looks import looks

GAP_S = 1.0
"""Whoever was not seen for longer comes back as somebody else."""
PUSH = 2.5
"""Standard deviation of accelerations, in m/s^2: walkers who stop or turn."""
ACROSS_M, DEEP_SHARE, DEEP_M = 0.05, 0.06, 0.05
"""Standard deviations of a position across the line of sight, and along it (a share of the distance and
some), where one picture tells little."""
PACE = 1.5
"""Standard deviation of the speed in m/s of somebody who was just found."""
OVERLAP, POSE_M, TURN_M, SIZE_M = 0.45, 0.10, 0.30, 0.06
"""What counts as one standard deviation: of the part of both boxes that is not common; of the distance of
root-relative joints, and by how much it grows in a second; of the height."""
MOST = 30.0
"""Cost of somebody who was not found: pairs are no more unlike than this (of a sum of squares of 6)."""
COLOUR, ODD = 12.0, 16.0
"""One standard deviation of a part's colour, in Lab; and the largest square of such deviations: light
changes, and parts are hidden."""
ALONE = 0.1
"""Colours are remembered of those whose boxes have less than this in common with others."""
LEAST_SURE = 4.0
"""Deviations grow by no more than this with doubt."""
_REMEMBERED = 0.1
"""Weight of the newest height in the one that is remembered."""


@dataclass(frozen=True, eq=False)
class Seen:
    """N people in a frame, as tracking sees them: ``roots (N,3)`` and root-relative ``joints (N,J,3)`` in
    metres, camera axes; ``boxes (N,4)`` x, y, width, height in pixels around the mesh; ``heights (N,)``;
    ``unsure (N,)``, by what all deviations are larger than usual; ``looks (N,P,3)``, colours of their parts
    (:func:`~openhmr.sequence.looks.looks`)."""

    roots: NDArray[np.float64]
    joints: NDArray[np.float64]
    boxes: NDArray[np.float64]
    heights: NDArray[np.float64]
    unsure: NDArray[np.float64]
    looks: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        people: People,
        unsure: NDArray[np.float64] | None = None,
        image: NDArray[np.uint8] | None = None,
    ) -> "Seen":
        joints = people.joints(people.keypoints.joint_set).astype(np.float64)
        flat = people.camera.project(people.vertices)
        low = flat.min(1)
        boxes = np.concatenate([low, flat.max(1) - low], 1)
        usual = np.ones(len(people))
        unsure = usual if unsure is None else np.clip(np.where(np.isnan(unsure), 1, unsure), 1, LEAST_SURE)
        return cls(
            people.roots, joints - people.roots[:, None], boxes, people.heights, unsure, looks(people, image)
        )

    def __len__(self) -> int:
        return len(self.roots)


@dataclass(frozen=True, eq=False)
class Tracks:
    """K people who are followed: ``ids (K,)``, when each was last seen ``(K,)`` in s, the ``motion (K,2,3)``
    then, position and velocity, with its ``spread (K,3,2,2)``, covariances an axis, and what else was
    seen."""

    ids: NDArray[np.int64]
    times: NDArray[np.float64]
    motion: NDArray[np.float64]
    spread: NDArray[np.float64]
    joints: NDArray[np.float64]
    boxes: NDArray[np.float64]
    heights: NDArray[np.float64]
    looks: NDArray[np.float64]

    def __getitem__(self, rows: NDArray) -> "Tracks":
        return Tracks(*(getattr(self, f.name)[rows] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.ids)

    def predicted(self, time_s: float) -> "Tracks":
        """Everybody at ``time_s``, having gone on at a constant velocity."""
        dt = (time_s - self.times)[:, None]
        motion = self.motion.copy()
        motion[:, 0] += dt * motion[:, 1]
        step = np.zeros((len(self), 1, 2, 2))
        step[:, 0, 0, 0] = step[:, 0, 1, 1] = 1
        step[:, 0, 0, 1] = dt[:, 0]
        dt = dt[..., None]
        push = PUSH**2 * np.stack(
            [np.concatenate([dt**4 / 4, dt**3 / 2], -1), np.concatenate([dt**3 / 2, dt**2], -1)], -1
        )
        return replace(self, motion=motion, spread=step @ self.spread @ step.swapaxes(-1, -2) + push)

    def moved_boxes(self, later: "Tracks", camera: Camera) -> NDArray[np.float64]:
        """The boxes ``(K,4)`` where the motion ``later`` has them, nearer ones larger."""
        then, now = (np.maximum(t.motion[:, 0], (-np.inf, -np.inf, 0.1)) for t in (self, later))
        grown = np.clip(then[:, 2] / now[:, 2], 0.5, 2)[:, None]
        shift = camera.project(now) - camera.project(then)
        middle = self.boxes[:, :2] + self.boxes[:, 2:] / 2 + shift
        size = self.boxes[:, 2:] * grown
        return np.concatenate([middle - size / 2, size], 1)


class Tracker:
    """``tracker(people, time_s) -> ids (N,)``, for the frames of a clip in their order.

    Each frame's people are assigned to those followed so far by how well they agree in 3D position (with a
    constant velocity and its uncertainty), 2D overlap, pose, size and, with an ``image (height, width, 3)``,
    the colours that they wear. Whoever fits nobody gets a number of their own, from 0 on. ``unsure (N,)``,
    where it is known, tells how much less certain than usual people are (1; 2: twice the deviations).
    """

    def __init__(self) -> None:
        self.tracks: Tracks | None = None
        self.time_s = -np.inf
        self._next = 0

    def __call__(
        self,
        people: People,
        time_s: float,
        unsure: NDArray[np.float64] | None = None,
        image: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.int64]:
        return self.update(Seen.of(people, unsure, image), people.camera, time_s)

    def update(self, seen: Seen, camera: Camera, time_s: float) -> NDArray[np.int64]:
        """Numbers ``(N,)`` of the people ``seen`` at ``time_s``."""
        self.time_s = time_s
        ids = np.full(len(seen), -1, np.int64)
        tracks = self.tracks
        if tracks is not None:
            tracks = tracks[time_s - tracks.times <= GAP_S + 1e-6]
            later = tracks.predicted(time_s)
            pairs = assign(costs(tracks, later, seen, camera, time_s), MOST)
            for row, column in pairs:
                ids[column] = tracks.ids[row]
            self._keep(tracks, later, seen, pairs, time_s)
        new = np.flatnonzero(ids < 0)
        ids[new] = self._next + np.arange(len(new))
        self._next += len(new)
        if len(new):
            self._add(_found(seen, new, ids[new], time_s))
        return ids

    def missing(self) -> NDArray[np.int64]:
        """Numbers of those who were not seen in the last frame, but less than a second before."""
        if self.tracks is None:
            return np.zeros(0, np.int64)
        return self.tracks.ids[self.tracks.times < self.time_s]

    def predicted_boxes(self, time_s: float, camera: Camera) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Numbers and boxes ``(K,4)`` around the meshes, at ``time_s``, of those who were seen in the last
        frame."""
        if self.tracks is None:
            return np.zeros(0, np.int64), np.zeros((0, 4))
        now = self.tracks[self.tracks.times == self.time_s]
        return now.ids, now.moved_boxes(now.predicted(time_s), camera)

    def state(self) -> dict[str, NDArray]:
        """All that later frames depend on, as arrays by name."""
        out: dict[str, NDArray] = {"next": np.array(self._next), "time_s": np.array(self.time_s)}
        if self.tracks is not None:
            out |= {f.name: getattr(self.tracks, f.name) for f in fields(Tracks)}
        return out

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Go on from a :meth:`state`."""
        self._next, self.time_s = int(state["next"]), float(state["time_s"])
        known = "ids" in state
        self.tracks = Tracks(**{f.name: state[f.name] for f in fields(Tracks)}) if known else None

    def _keep(
        self, tracks: Tracks, later: Tracks, seen: Seen, pairs: list[tuple[int, int]], time_s: float
    ) -> None:
        """The tracks with what was seen of some of them: Kalman's update, an axis by itself."""
        rows, columns = (np.array([p[i] for p in pairs], int) for i in (0, 1))
        out = {f.name: getattr(tracks, f.name).copy() for f in fields(tracks)}
        prior, noise = later.spread[rows], _noise(seen)[columns]
        gain = prior[..., 0] / (prior[..., 0, 0] + noise)[..., None]
        error = seen.roots[columns] - later.motion[rows, 0]
        out["motion"][rows] = later.motion[rows] + (gain * error[..., None]).swapaxes(1, 2)
        out["spread"][rows] = prior - gain[..., :, None] * prior[..., None, 0, :]
        out["times"][rows] = time_s
        out["joints"][rows], out["boxes"][rows] = seen.joints[columns], seen.boxes[columns]
        # Who stands before others, or behind them, wears their colours, too.
        alone = ((overlaps(seen.boxes, seen.boxes) - np.eye(len(seen))).max(1, initial=0) < ALONE)[columns]
        old, new = out["looks"][rows], seen.looks[columns]
        kept = np.where(alone[:, None, None], old + _REMEMBERED * (new - old), old)
        out["looks"][rows] = np.where(np.isnan(kept), np.where(np.isnan(old), new, old), kept)
        out["heights"][rows] += _REMEMBERED * (seen.heights[columns] - out["heights"][rows])
        self.tracks = Tracks(**out)

    def _add(self, found: Tracks) -> None:
        both = [found] if self.tracks is None else [self.tracks, found]
        joined = {f.name: np.concatenate([getattr(t, f.name) for t in both]) for f in fields(Tracks)}
        self.tracks = Tracks(**joined)


def costs(tracks: Tracks, later: Tracks, seen: Seen, camera: Camera, time_s: float) -> NDArray[np.float64]:
    """How unlike those followed, who are ``later`` now, and those seen are: ``(K,N)``, sums of squares over
    variances."""
    gap = (time_s - tracks.times)[:, None]
    error = seen.roots[None] - later.motion[:, None, 0]
    variance = later.spread[:, None, :, 0, 0] + _noise(seen)[None]
    place = (error**2 / variance).sum(-1)
    common = overlaps(tracks.moved_boxes(later, camera), seen.boxes)
    apart = np.linalg.norm(tracks.joints[:, None] - seen.joints[None], axis=-1).mean(-1)
    pose = apart / (POSE_M * seen.unsure + TURN_M * np.minimum(gap, 1))
    size = (tracks.heights[:, None] - seen.heights) / (SIZE_M * seen.unsure)
    unlike = ((tracks.looks[:, None] - seen.looks) ** 2).sum(-1) / COLOUR**2
    known = ~np.isnan(unlike)
    worn = np.where(known, np.minimum(unlike, ODD), 0).sum(-1) / np.maximum(known.sum(-1), 1)
    # Boxes of those who were away say little.
    return np.asarray(place + ((1 - common) / (OVERLAP + gap)) ** 2 + pose**2 + size**2 + worn)


def _noise(seen: Seen) -> NDArray[np.float64]:
    """Variances ``(N,3)`` of positions that one frame tells."""
    across = np.full(len(seen), ACROSS_M)
    deep = DEEP_SHARE * seen.roots[:, 2] + DEEP_M
    return (np.stack([across, across, deep], 1) * seen.unsure[:, None]) ** 2


def _found(seen: Seen, rows: NDArray, ids: NDArray[np.int64], time_s: float) -> Tracks:
    motion = np.stack([seen.roots[rows], np.zeros((len(rows), 3))], 1)
    spread = np.zeros((len(rows), 3, 2, 2))
    spread[..., 0, 0], spread[..., 1, 1] = _noise(seen)[rows], PACE**2
    others = (seen.joints[rows], seen.boxes[rows], seen.heights[rows], seen.looks[rows])
    return Tracks(ids, np.full(len(rows), time_s), motion, spread, *others)
