"""Detect, recover or lift, average, leave out who is not there: composed here, once."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.camera import Camera
from openhmr.errors import InputError, NothingFound
from openhmr.geometry.boxes import overlaps
from openhmr.keypoints import Keypoints
from openhmr.people import Frame, People
from openhmr.predict.average import average
from openhmr.predict.body_fit import refitted, with_rig
from openhmr.predict.certainty import SEEN, SUSPECT, UNSURE, doubt, is_nobody, warn_of_uncertain
from openhmr.predict.detect.movenet import SAME_BOX, detect_people
from openhmr.predict.fuse import fused
from openhmr.predict.lift import Lifter
from openhmr.predict.recover import Recoverer
from openhmr.predict.upright import upright_rolls

log = logging.getLogger(__name__)

Combine = Literal["param", "lixel", "lift", "average"]
"""What a pipeline with an image network returns: the mesh of its body parameters, which never breaks; the
lixel mesh that they were fitted to; Pose2Mesh on its 2D joints; that averaged with the first. Each keeps the
body parameters."""


class Detector(Protocol):
    """Finds people in pictures; nobody is an empty result, never an error."""

    def __call__(self, image: NDArray[np.uint8], time_s: float | None = None) -> Keypoints: ...


@dataclass(frozen=True, eq=False)
class Picture:
    """One item of a stream: ``image (height, width, 3)`` RGB uint8, or the ``keypoints`` of its people, or
    both.

    ``boxes (N,4)`` x, y, width, height of the people to recover, where they are known, and their ``scores
    (N,)`` where a detector gave them; ``camera`` where it is known; ``name`` for files; ``time_s`` in a
    video; ``heights_m`` of the people (:meth:`People.with_heights`).
    """

    image: NDArray[np.uint8] | None = None
    keypoints: Keypoints | None = None
    boxes: NDArray[np.float64] | None = None
    camera: Camera | None = None
    name: str | None = None
    time_s: float | None = None
    heights_m: ArrayLike | None = None
    scores: NDArray[np.float64] | None = None


class Pipeline:
    """``pipeline(source) -> frames``: one :class:`Frame` a :class:`Picture`, in bounded memory.

    Pictures with keypoints are lifted. In others ``detector`` finds the people, unless they have boxes; with
    a ``recoverer`` they are recovered, else what was detected is lifted. ``combine`` says what of recoverer
    and lifter is returned. People who are not there (see :func:`~openhmr.predict.certainty.is_nobody`) are
    left out unless ``keep_all``; where detected people are lifted, the image network ``check`` looks at those
    of whom the detector is unsure.
    """

    def __init__(
        self,
        recoverer: Recoverer | None = None,
        lifter: Lifter | None = None,
        detector: Detector = detect_people,
        *,
        combine: Combine = "param",
        keep_all: bool = False,
        check: Recoverer | None = None,
    ) -> None:
        if combine not in get_args(Combine):
            raise InputError(f"combine is {combine!r}; one of {', '.join(get_args(Combine))} is needed")
        if isinstance(recoverer, Lifter):
            raise InputError("a lifter is given in the place of the recoverer; write Pipeline(lifter=...)")
        if isinstance(lifter, Recoverer):
            raise InputError("a recoverer is given in the place of the lifter; write Pipeline(recoverer)")
        if recoverer is None and lifter is None:
            raise InputError("a pipeline needs a recoverer for photos, or a lifter for 2D poses")
        if recoverer is not None and lifter is None and combine in ("lift", "average"):
            raise InputError(f"combining by {combine!r} needs a lifter beside the recoverer; give both")
        self.recoverer, self.lifter, self.detector = recoverer, lifter, detector
        self.combine, self.keep_all, self.check = combine, keep_all, check

    def __call__(self, source: Iterable[Picture]) -> Iterator[Frame]:
        """Frames of ``source`` in its order, each as soon as it is asked for; frames without anybody are
        empty."""
        for index, picture in enumerate(source):
            yield self.frame(picture, index)

    def one(self, picture: Picture) -> Frame:
        """The frame of a single picture. Raises :class:`NothingFound` if there is nobody in it."""
        frame = self.frame(picture)
        if not len(frame.people):
            where = picture.name or "the picture"
            found = "found in" if picture.boxes is None else "to be seen in the boxes given for"
            raise NothingFound(
                f"nobody was {found} {where}; give the box of a person, or ask for what was seen all the same"
            )
        return frame

    def frame(self, picture: Picture, index: int = 0) -> Frame:
        """The frame of one picture, perhaps an empty one."""
        if not isinstance(picture, Picture):
            raise InputError(
                f"the stream holds {type(picture).__name__}; Pictures are needed, such as Picture(image)"
            )
        picture = _straight(picture)
        people = self._people(picture)
        if picture.heights_m is not None and len(people):
            people = people.with_heights(picture.heights_m)
        return Frame(index, {"body": people}, picture.time_s, picture.name, picture.image)

    def _people(self, picture: Picture) -> People:
        if picture.keypoints is not None:
            return self._lift(picture.keypoints, picture.camera, order_known=False)
        if picture.image is None:
            raise InputError("a picture of the stream has neither image nor keypoints; give one of them")
        if self.recoverer is None:
            seen = self.detector(picture.image, picture.time_s)
            if picture.boxes is not None:
                seen = seen[[match for match in best_overlaps(picture.boxes, seen) if match is not None]]
            elif self.check is not None and not self.keep_all:
                seen = self._checked(picture, seen, self.check)
            return self._lift(seen, picture.camera)
        detected = None if picture.boxes is not None else self.detector(picture.image, picture.time_s)
        told = picture if detected is None else detected
        found = self.recoverer(picture.image, told.boxes, picture.camera, scores=told.scores)
        needed = self.combine in ("lift", "average") or (doubt(found) > SUSPECT).any()
        if detected is None and needed:
            detected = self.detector(picture.image, picture.time_s)
        if detected is not None:
            found = self._upright(picture, found, detected)
        doubtful = np.flatnonzero(doubt(found) > UNSURE)
        if self.combine == "param" and self.lifter is not None and len(doubtful):
            assert detected is not None
            found = self._second_look(found, doubtful, detected)
        return self._combined(self._present(found), detected)

    def _checked(self, picture: Picture, seen: Keypoints, check: Recoverer) -> Keypoints:
        """The detected people without those who are not there by what the image network says of them."""
        assert picture.image is not None
        if seen.scores is None or seen.boxes is None:
            return seen
        there = seen.scores >= SEEN
        if not there.all():
            there[~there] = ~is_nobody(check(picture.image, seen.boxes[~there], picture.camera))
        return seen[there]

    def _upright(self, picture: Picture, found: People, detected: Keypoints) -> People:
        """The people ``found``; those who do not stand upright where the detector sees
        them are recovered again with their pictures turned until they do, and stay so if they are less
        doubtful: who bends down or lies may look more usual as they are."""
        boxes = found.keypoints.boxes
        assert self.recoverer is not None and picture.image is not None and boxes is not None
        if picture.boxes is None:
            rolls = upright_rolls(detected.points, detected.joint_set)
        else:
            matches = best_overlaps(boxes, detected)
            there = [m for m in matches if m is not None]
            rolls = np.zeros(len(boxes))
            rolls[[m is not None for m in matches]] = upright_rolls(
                detected.points[there], detected.joint_set
            )
            rolls[~(doubt(found) > SUSPECT)] = 0
        rows = np.flatnonzero(rolls)
        if not len(rows):
            return found
        again = self.recoverer(picture.image, boxes[rows], picture.camera, rolls=rolls[rows])
        surer = doubt(again) < doubt(found[rows])
        return found.replaced(rows[surer].tolist(), again[surer])

    def _second_look(self, found: People, doubtful: NDArray[np.intp], detected: Keypoints) -> People:
        """The ``doubtful`` ones of the people ``found`` replaced by lifts of what the detector sees of them:
        it knows which joints are outside of the picture, and the lifter what to make of the others."""
        assert found.keypoints.boxes is not None
        matches = best_overlaps(found.keypoints.boxes[doubtful], detected)
        rows = [(row, match) for row, match in zip(doubtful, matches, strict=True) if match is not None]
        if not rows:
            return found
        lifted = self._lift(detected[[match for _, match in rows]], found.camera)
        whole = replace(lifted, vertices=lifted.parametric().vertices)
        return found.replaced([int(row) for row, _ in rows], whole)

    def _lift(self, keypoints: Keypoints, camera: Camera | None, order_known: bool = True) -> People:
        if self.lifter is None:
            raise InputError(
                "a picture of the stream has keypoints, but the pipeline has no lifter; give it one"
            )
        lifted = self.lifter(keypoints, camera, order_known=order_known)
        return lifted if lifted.rig is not None else with_rig(lifted)

    def _present(self, people: People) -> People:
        """Those of the recovered people who are there; warns of the others, and of the uncertain."""
        nobody = is_nobody(people)
        if self.keep_all or not nobody.any():
            warn_of_uncertain(people)
            return people
        kept = people[~nobody]
        if len(kept):
            log.warning("left out %d of %d: in their boxes nobody is to be seen", nobody.sum(), len(people))
        warn_of_uncertain(kept)
        return kept

    def _combined(self, recovered: People, detected: Keypoints | None) -> People:
        """What of both networks is returned, from the 2D joints of both where the detector saw somebody,
        too."""
        if self.combine == "lixel" and len(recovered):
            return recovered.lixel()
        if self.lifter is None or not len(recovered):
            return recovered
        boxes = recovered.keypoints.boxes
        assert boxes is not None
        rows, joints = np.zeros(0, int), recovered.keypoints
        if detected is not None and detected.joint_set == joints.joint_set:
            matches = best_overlaps(boxes, detected)
            rows = np.flatnonzero([match is not None for match in matches])
            there = detected[[match for match in matches if match is not None]]
            points = joints.points.copy()
            points[rows] = fused(joints[rows], there).points
            joints = replace(joints, points=points)
        if self.combine == "param":
            return self._refined(recovered, joints, rows)
        lifted = self.lifter(joints, recovered.camera, order_known=True)
        return replace(lifted, rig=recovered.rig) if self.combine == "lift" else average(recovered, lifted)

    def _refined(self, recovered: People, joints: Keypoints, rows: NDArray[np.intp]) -> People:
        """The bodies that fit the average with the lift of ``joints`` best, of those people in ``rows``."""
        assert self.lifter is not None
        if recovered.sigma is None or not len(rows):
            return recovered
        lifted = self.lifter(joints[rows], recovered.camera, order_known=True)
        both = refitted(average(replace(recovered[rows], keypoints=joints[rows]), lifted))
        return recovered.replaced(rows.tolist(), both)


def best_overlaps(boxes: NDArray, detected: Keypoints) -> list[int | None]:
    """The detected person whose box overlaps each of ``boxes (N,4)`` best, None where less than
    :data:`SAME_BOX` of both together is common to them."""
    if detected.boxes is None or not len(detected):
        return [None] * len(boxes)
    common = overlaps(boxes, detected.boxes)
    return [int(o.argmax()) if o.max() > SAME_BOX else None for o in common]


def _straight(picture: Picture) -> Picture:
    """The picture as a lens without distortion would have taken it."""
    camera = picture.camera
    if camera is None or camera.dist is None:
        return picture
    return replace(
        picture,
        camera=camera.straight(),
        image=None if picture.image is None else camera.undistort_image(picture.image),
        keypoints=None if picture.keypoints is None else picture.keypoints.undistorted(camera),
        boxes=None if picture.boxes is None else camera.undistort_boxes(picture.boxes),
    )
