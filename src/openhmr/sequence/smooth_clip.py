"""Everybody in a clip made smooth: frames in, frames out, of which only rigs are kept meanwhile."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import JointSet
from openhmr.keypoints import Keypoints
from openhmr.people import Frame, Part, People, Rig
from openhmr.sequence.feet import Ground, has_feet
from openhmr.sequence.penalised import Array
from openhmr.sequence.rig_path import RigPath
from openhmr.sequence.smooth import Cutoffs, Sight, find_grounds, plant, smooth_path

FPS = 30.0
"""Of frames that have no times."""
GAP_S = 1.0
"""People come back where they were not seen for so long; longer gaps stay."""


@dataclass(frozen=True, eq=False)
class Track:
    """One person of a smooth clip: ``rig`` of the ``frames (T,)`` (places in the clip), which were ``seen
    (T,)`` and used; the others are interpolated. ``standing (T,4)`` tells which of
    :data:`~openhmr.sequence.feet.POINTS_OF_FEET` stand; ``ground`` is None where none was found.
    """

    frames: NDArray[np.int64]
    rig: Rig
    seen: NDArray[np.bool_]
    standing: NDArray[np.bool_]
    ground: Ground | None


class SmoothClip:
    """``for frame in smooth_clip(frames)``: the frames with smooth people, meshes skinned as they are asked
    for, as often as one likes.

    ``tracks`` holds everybody's rig by part and track id; ``camera`` is the clip's, with the direction of
    gravity (``down``) where feet or upright people told it.
    """

    def __init__(
        self, frames: "list[_Bare]", tracks: Mapping[Part, dict[int, Track]], camera: Camera | None
    ) -> None:
        self._frames, self.tracks, self.camera = frames, tracks, camera
        self._present: list[dict[Part, list[tuple[int, int]]]] = [{} for _ in frames]
        for part, people in tracks.items():
            for number, track in sorted(people.items()):
                for row, place in enumerate(track.frames):
                    self._present[place].setdefault(part, []).append((number, row))

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        for bare, present in zip(self._frames, self._present, strict=True):
            groups = {
                part: self._people(group, part, present.get(part, [])) for part, group in bare.groups.items()
            }
            yield Frame(bare.index, groups, bare.time_s, bare.name)

    def _people(self, group: "_Group", part: Part, present: list[tuple[int, int]]) -> People:
        body, camera = group.body, replace(group.camera, down=self.camera.down if self.camera else None)
        picked = [self.tracks[part][number].rig[row] for number, row in present]
        numbers = np.array([number for number, _ in present], np.int64)
        keypoints = _rows_of(group.keypoints, group.track_ids, numbers)
        if not picked:
            return People(
                body, camera, keypoints, np.zeros((0, body.num_vertices, 3), np.float32), track_ids=numbers
            )
        columns = ([getattr(rig, name) for rig in picked] for name in ("pose", "betas", "translation"))
        rig = Rig(*(np.concatenate(column) for column in columns))
        vertices, _ = skin(body, rig.pose, rig.betas)
        vertices = vertices + rig.translation[:, None].astype(np.float32)
        return People(body, camera, keypoints, vertices, rig, track_ids=numbers)


@dataclass(frozen=True, eq=False)
class _Group:
    """The people of a part in a frame without their meshes; ``sigma (N,J)`` of the rig's joints."""

    body: Body
    camera: Camera
    keypoints: Keypoints
    track_ids: NDArray[np.int64]
    rig: Rig | None
    sigma: Array | None


@dataclass(frozen=True, eq=False)
class _Bare:
    index: int
    time_s: float | None
    name: str | None
    groups: Mapping[Part, _Group]


@dataclass(eq=False)
class _Seen:
    """Where in the clip somebody was seen, and as which row."""

    places: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


def smooth_clip(frames: Iterable[Frame], cutoffs: Cutoffs | None = None) -> SmoothClip:
    """Make the people of a clip smooth, without delay: rotations, places, one shape each; feet that stand do
    not slide, and nothing of them lies below the ground.

    ``frames`` are in the order of time; their people have body parameters and track ids (a single person
    needs none), and one camera that stands still. Frames in which somebody is missing for up to :data:`GAP_S`
    are filled: there all keypoints have confidence 0. What was seen is kept as keypoints; deviations and
    pictures are not. All frames are read at once, but only rigs and keypoints are kept of them. Raises
    :class:`InputError` for people without rigs or ids and for cameras that change.
    """
    bare = [_stripped(frame) for frame in frames]
    times, camera = _times(bare), _one_camera(bare)
    tracks: dict[Part, dict[int, Track]] = {}
    down = None
    for part in dict.fromkeys(part for frame in bare for part in frame.groups):
        groups = [frame.groups.get(part) for frame in bare]
        tracks[part], found = _smooth_part(groups, times, cutoffs)
        down = found if down is None else down
    if camera is not None and down is not None:
        camera = replace(camera, down=down)
    return SmoothClip(bare, tracks, camera)


def _smooth_part(
    groups: list[_Group | None], times: Array, cutoffs: Cutoffs | None
) -> tuple[dict[int, Track], Array | None]:
    """Everybody's track, and the direction of gravity if it was found."""
    people: dict[int, _Seen] = {}
    for place, group in enumerate(groups):
        for row, number in enumerate([] if group is None else group.track_ids):
            seen = people.setdefault(int(number), _Seen())
            seen.places.append(place)
            seen.rows.append(row)
    smooth, spans = [], []
    for seen in people.values():
        span = np.arange(seen.places[0], seen.places[-1] + 1)
        path, body, sight = _path(groups, seen, span, times)
        smooth.append(smooth_path(path, body, sight, cutoffs))
        spans.append((span, path.seen))
    out, (down, grounds) = dict[int, Track](), find_grounds(smooth)
    for number, person, (span, known), ground in zip(people, smooth, spans, grounds, strict=True):
        still = np.zeros((len(span), 4), bool)
        if has_feet(person.body):
            person, still = plant(person, ground, cutoffs)
        kept = _near(known, times[span])
        rig = person.rig()[kept]
        out[number] = Track(span[kept], rig, (person.seen & known)[kept], still[kept], ground)
    return out, down


def _near(known: NDArray[np.bool_], times: Array) -> NDArray[np.bool_]:
    """Which frames ``(T,)`` are known, or lie in a gap of at most :data:`GAP_S`."""
    here = times[known]
    after = np.searchsorted(here, times)
    gap = here[np.minimum(after, len(here) - 1)] - here[np.maximum(after - 1, 0)]
    return known | (gap <= GAP_S)


def _path(
    groups: list[_Group | None], seen: _Seen, span: NDArray[np.int64], times: Array
) -> tuple[RigPath, Body, Sight]:
    count, own = len(span), np.array(seen.places) - span[0]
    first = groups[seen.places[0]]
    assert first is not None and first.rig is not None
    joint_set: JointSet = first.keypoints.joint_set
    pose = np.zeros((count, *first.rig.pose.shape[1:]))
    betas, translation = np.zeros((count, first.rig.betas.shape[1])), np.zeros((count, 3))
    points = np.zeros((count, joint_set.size, 3), np.float32)
    sigma = np.ones(pose.shape[:2])
    for at, place, row in zip(own, seen.places, seen.rows, strict=True):
        group = groups[place]
        assert group is not None and group.rig is not None
        pose[at], betas[at] = group.rig.pose[row], group.rig.betas[row]
        translation[at] = group.rig.translation[row]
        if group.keypoints.joint_set == joint_set:
            points[at] = group.keypoints.points[row]
        if group.sigma is not None:
            sigma[at] = group.sigma[row]
    known = np.zeros(count, bool)
    known[own] = True
    path = RigPath(times[span], pose, betas, translation, known, sigma)
    return path, first.body, Sight(first.camera, joint_set, points)


def _rows_of(keypoints: Keypoints, track_ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> Keypoints:
    """The keypoints of the ``wanted`` people; of those who were not seen, none."""
    known = {int(number): row for row, number in enumerate(track_ids)}
    points = np.zeros((len(wanted), *keypoints.points.shape[1:]), np.float32)
    boxes = None if keypoints.boxes is None else np.zeros((len(wanted), 4))
    scores = None if keypoints.scores is None else np.zeros(len(wanted))
    for i, number in enumerate(wanted):
        if (row := known.get(int(number))) is None:
            continue
        points[i] = keypoints.points[row]
        if boxes is not None and keypoints.boxes is not None:
            boxes[i] = keypoints.boxes[row]
        if scores is not None and keypoints.scores is not None:
            scores[i] = keypoints.scores[row]
    return replace(keypoints, points=points, boxes=boxes, scores=scores)


def _stripped(frame: Frame) -> _Bare:
    groups: dict[Part, _Group] = {}
    for part, people in frame.groups.items():
        ids = people.track_ids
        if ids is None:
            if len(people) > 1:
                raise InputError(
                    f"frame {frame.index} has {len(people)} people without track ids; track them first, so "
                    f"that it is known who is who"
                )
            ids = np.zeros(len(people), np.int64)
        if len(people) and people.rig is None:
            raise InputError(
                f"the people of frame {frame.index} have no body parameters, which are made smooth; recover "
                f"them from pictures, or lift them through a Pipeline"
            )
        sigma = None
        if people.sigma is not None:
            spread = np.matmul(np.abs(people.body.J_regressor), people.sigma.vertices)
            sigma = np.linalg.norm(spread, axis=-1).astype(np.float64)
        groups[part] = _Group(people.body, people.camera, people.keypoints, ids, people.rig, sigma)
    return _Bare(frame.index, frame.time_s, frame.name, groups)


def _times(frames: list[_Bare]) -> Array:
    """Seconds ``(T,)`` of every frame."""
    given = [frame.time_s for frame in frames]
    if any(time is None for time in given):
        return np.array([frame.index for frame in frames]) / FPS
    return np.array(given, np.float64)


def _one_camera(frames: list[_Bare]) -> Camera | None:
    cameras = [group.camera for frame in frames for group in frame.groups.values()]
    for camera in cameras:
        if camera.image_size != cameras[0].image_size or not np.allclose(camera.K, cameras[0].K):
            raise InputError(
                f"the camera of a clip changes from {cameras[0].image_size} and focal length "
                f"{cameras[0].K[0, 0]:.0f} px to {camera.image_size} and {camera.K[0, 0]:.0f} px; give clips "
                f"of one camera that stands still"
            )
    return cameras[0] if cameras else None
