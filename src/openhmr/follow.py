"""A clip frame by frame: boxes follow people, people keep their number, one camera for all (ours).

A detector searches a whole picture; somebody who was recovered in the last frame need not be searched for. So
the next picture is looked at where their mesh will be, which is both quicker and steadier, and the detector
runs now and then: for those who come, and for those who were lost.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from openhmr.camera import Camera, image_size_around
from openhmr.errors import InputError
from openhmr.geometry.boxes import overlaps
from openhmr.io.video import Shot
from openhmr.keypoints import Keypoints
from openhmr.people import Frame, People
from openhmr.pipeline import Detector, Picture, Pipeline
from openhmr.predict.certainty import SEEN, UNSURE, doubt
from openhmr.sequence.assign import assign
from openhmr.sequence.track import Tracker

SEARCH_S = 0.5
"""From one search to the next: it costs as much as recovering somebody twice."""
SEARCH_LOST_S = 0.1
"""The same while somebody is lost, or doubtful to both networks."""
LONG_S = 0.15
"""People are searched for in every frame where so much time lies between frames: they may be anywhere."""
SAME_BOX = 0.5
"""Intersection over union from which a person who was found is one who is followed; others are looked at
besides, and go if they are the same after all."""
UNSEEN = 0.8
"""Factor of the score of somebody whom a search did not find."""
INSIDE = 0.1
"""Whoever has a smaller share of their box inside the picture has left."""
SAME_PERSON = 0.1
"""Two meshes are of one person if their joints lie apart by less than this share of their size (root of the
box's area) on average."""


class _Once:
    """A detector that looks at each picture once, whoever asks."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.calls = detector, 0
        self._image: NDArray[np.uint8] | None = None
        self._seen: Keypoints | None = None

    def __call__(self, image: NDArray[np.uint8], time_s: float | None = None) -> Keypoints:
        if image is not self._image or self._seen is None:
            self._image, self._seen = image, self.detector(image, time_s)
            self.calls += 1
        return self._seen


class Follower:
    """``follower(shots) -> frames`` whose people have ``track_ids``, by a ``pipeline``, in bounded memory.

    ``camera`` is that of all frames; None assumes one by the first frame's size, and keeps it.
    ``searches`` counts the calls of the detector, those that the pipeline makes for the doubtful among them.
    :meth:`state` and :meth:`restore` let a later process go
    on. Raises :class:`InputError` for frames of different sizes.
    """

    def __init__(self, pipeline: Pipeline, camera: Camera | None = None) -> None:
        self._detector = _Once(pipeline.detector)
        self.pipeline = Pipeline(
            pipeline.recoverer,
            pipeline.lifter,
            self._detector,
            combine=pipeline.combine,
            keep_all=pipeline.keep_all,
        )
        self.camera, self.tracker = camera, Tracker()
        self._searched_s = -math.inf
        self._doubtful = False
        self._ids, self._scores = np.zeros(0, np.int64), np.zeros(0)

    @property
    def searches(self) -> int:
        """Calls of the detector so far."""
        return self._detector.calls

    def __call__(self, shots: Iterable[Shot]) -> Iterator[Frame]:
        """Frames in the order of ``shots``; shots that hold neither picture nor poses are left out."""
        for shot in shots:
            frame = self.frame(shot)
            if frame is not None:
                yield frame

    def frame(self, shot: Shot) -> Frame | None:
        """The frame of one shot; None if it holds nothing."""
        picture = self._picture(shot)
        if picture is None:
            return None
        if self.pipeline.recoverer is not None and picture.image is not None and picture.keypoints is None:
            picture = self._aimed(picture)
        frame = self.pipeline.frame(picture, shot.number)
        people = frame.people[_distinct(frame.people)]
        doubts, scores = doubt(people), people.keypoints.scores
        ids = self.tracker(people, shot.time_s, doubts, frame.image)
        self._ids, self._scores = ids, np.ones(len(ids)) if scores is None else scores
        self._doubtful = bool(((doubts > UNSURE) & (self._scores < SEEN)).any())
        return replace(frame, groups={"body": replace(people, track_ids=ids)})

    def _picture(self, shot: Shot) -> Picture | None:
        if shot.image is not None:
            size: tuple[int, int] | None = (shot.image.shape[0], shot.image.shape[1])
        elif shot.keypoints is not None:
            size = shot.keypoints.image_size
        else:
            return None
        if self.camera is None:
            self.camera = Camera.assumed(size or image_size_around(shot.keypoints.points))  # type: ignore[union-attr]
        if size not in (None, self.camera.image_size):
            raise InputError(
                f"frame {shot.number} has (height, width) {size}, but the camera {self.camera.image_size}; "
                f"the frames of a clip have one size, that of its camera"
            )
        return Picture(shot.image, shot.keypoints, camera=self.camera, name=shot.name, time_s=shot.time_s)

    def _aimed(self, picture: Picture) -> Picture:
        """The picture with the boxes of those who are followed, and of those whom a search finds besides."""
        assert picture.image is not None and picture.camera is not None and picture.time_s is not None
        if picture.camera.dist is not None:
            straight = picture.camera.straight()
            picture = replace(picture, image=picture.camera.undistort_image(picture.image), camera=straight)
        assert picture.image is not None and picture.camera is not None and picture.time_s is not None
        ids, boxes = self.tracker.predicted_boxes(picture.time_s, picture.camera)
        scores = np.array([self._scores[self._ids == i][0] for i in ids])
        boxes, inside = _clipped(boxes, picture.camera.image_size)
        boxes, scores = boxes[inside], scores[inside]
        if self._due(len(boxes), picture.time_s):
            found = self._detector(picture.image, picture.time_s)
            self._searched_s = picture.time_s
            boxes, scores = _joined(boxes, scores, found)
        return replace(picture, boxes=boxes, scores=scores)

    def _due(self, followed: int, time_s: float) -> bool:
        """Whether to search the picture at ``time_s``, in which so many are followed."""
        if not followed or time_s - self.tracker.time_s > LONG_S:
            return True
        lost = self._doubtful or len(self.tracker.missing()) > 0
        return time_s - self._searched_s > (SEARCH_LOST_S if lost else SEARCH_S) - 1e-6

    def state(self) -> dict[str, NDArray]:
        """All that later frames depend on, as arrays by name."""
        out: dict[str, NDArray] = {f"track_{name}": value for name, value in self.tracker.state().items()}
        out |= {
            "searched_s": np.array(self._searched_s),
            "doubtful": np.array(self._doubtful),
            "searches": np.array(self.searches),
            "ids": self._ids,
            "scores": self._scores,
        }
        return out

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Go on from a :meth:`state`."""
        self.tracker.restore(
            {k.removeprefix("track_"): v for k, v in state.items() if k.startswith("track_")}
        )
        self._searched_s, self._detector.calls = float(state["searched_s"]), int(state["searches"])
        self._doubtful = bool(state["doubtful"])
        self._ids, self._scores = state["ids"], state["scores"]


def _clipped(boxes: NDArray, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The parts of ``boxes (K,4)`` inside a picture of ``size`` (height, width), and whose are large
    enough."""
    low = np.maximum(boxes[:, :2], -0.5)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], np.array(size[::-1]) - 0.5)
    sides = np.maximum(high - low, 0)
    inside = (sides.prod(1) > INSIDE * boxes[:, 2:].prod(1)) & (sides.min(1, initial=math.inf) >= 4)
    return np.concatenate([low, sides], 1), inside


def _joined(
    boxes: NDArray, scores: NDArray, found: Keypoints
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The boxes of those followed, and of those found who are nobody of them, with their scores."""
    if found.boxes is None or not len(found):
        return boxes, scores * UNSEEN
    seen = np.ones(len(found)) if found.scores is None else found.scores
    common = overlaps(boxes, found.boxes)
    pairs = assign(np.where(common > SAME_BOX, 1 - common, np.inf), 1.0)
    out = scores * UNSEEN
    for row, column in pairs:
        out[row] = seen[column]
    new = np.setdiff1d(np.arange(len(found)), [column for _, column in pairs])
    return np.concatenate([boxes, found.boxes[new]]), np.concatenate([out, seen[new]])


def _distinct(people: People) -> NDArray[np.intp]:
    """Rows of different people: where two boxes slid onto one person, the one with the better score stays."""
    if len(people) < 2:
        return np.arange(len(people))
    points = people.camera.project(people.joints(people.keypoints.joint_set))
    size = np.sqrt(np.ptp(points, axis=1).prod(-1))
    scores = people.keypoints.scores
    order = np.arange(len(people)) if scores is None else np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for i in order:
        apart = [np.linalg.norm(points[i] - points[j], axis=-1).mean() / size[j] for j in kept]
        if all(a > SAME_PERSON for a in apart):
            kept.append(int(i))
    return np.sort(np.array(kept, int))
