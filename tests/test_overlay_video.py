"""The video of meshes over frames: as long as the clip, its pictures where they belong; and colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.errors import InputError
from openhmr.export.video import LONGEST_PX, OverlaySink, overlay
from openhmr.io.video import Video
from openhmr.people import Frame, People
from openhmr.sequence.looks import PARTS, looks
from openhmr.sequence.track import Seen, Tracker
from tests.walkers import CAMERA, Walker, people_at

WALKERS = [Walker((-0.8, 4), (-0.8, 4)), Walker((0.8, 5), (0.8, 5), 1.75)]


@pytest.fixture(scope="module")
def people() -> People:
    return people_at(WALKERS, 0, 4)


def grey(level: int) -> np.ndarray:
    return np.full((90, 160, 3), level, np.uint8)


def test_uneven_frames_last_as_long_as_they_should(people: People, tmp_path: Path) -> None:
    nobody = people[[]]
    with OverlaySink(tmp_path / "o.mp4", 10.0) as sink:
        for time_s, level in ((2.0, 20), (2.1, 90), (2.5, 160), (2.6, 230)):
            small = np.asarray(cv2.resize(grey(level), CAMERA.image_size[::-1]), np.uint8)
            sink.append(Frame(0, {"body": nobody}, time_s, image=small))
    shots = list(Video(tmp_path / "o.mp4"))
    assert_allclose([s.time_s for s in shots], np.arange(7) / 10, atol=1e-3)
    assert_allclose([s.image.mean() for s in shots], [20, 90, 90, 90, 90, 160, 230], atol=4)
    assert shots[0].image.shape == (540, LONGEST_PX, 3)


def test_all_or_nothing(people: People, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"), OverlaySink(tmp_path / "o.mp4", 10.0):
        pass
    with pytest.raises(KeyboardInterrupt), OverlaySink(tmp_path / "o.mp4", 10.0) as sink:
        sink.append(Frame(0, {"body": people[[]]}, 0.0))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_people_are_drawn_where_they_are(people: People) -> None:
    """Each covers its own place in a colour of its own, the same whoever else is there."""
    ids = np.array([3, 8])
    named = People(people.body, people.camera, people.keypoints, people.vertices, people.rig, track_ids=ids)
    both = overlay(named, None).astype(int)
    empty = overlay(named[[]], None).astype(int)
    scale = LONGEST_PX / CAMERA.image_size[1]
    for row in range(2):
        alone = overlay(named[row], None).astype(int)
        x, y = np.rint(scale * CAMERA.project(people.roots[row])).astype(int)
        assert np.abs(both[y, x] - empty[y, x]).max() > 30 and np.array_equal(both[y, x], alone[y, x])
        other = np.rint(scale * CAMERA.project(people.roots[1 - row])).astype(int)
        assert np.array_equal(alone[other[1], other[0]], empty[other[1], other[0]])


def test_colours_part_by_part(people: People) -> None:
    image = np.zeros((*CAMERA.image_size, 3), np.uint8)
    image[:, :640] = (200, 30, 30)
    image[:, 640:] = (30, 30, 200)
    seen = looks(people, image)
    assert seen.shape == (2, len(PARTS), 3) and np.ptp(seen, axis=1).max() < 1
    exact = cv2.cvtColor(np.float32([[[200, 30, 30], [30, 30, 200]]]) / 255, cv2.COLOR_RGB2LAB)[0]
    assert_allclose(seen[:, 0], exact, atol=0.1)
    assert np.isnan(looks(people, None)).all()


def test_colours_tell_who_is_who_where_nothing_else_does(people: People) -> None:
    """Two who were hidden for a moment come back in each other's places, alike but for their clothes."""
    walkers = [Walker((-0.6, 4), (-0.6, 4)), Walker((0.6, 4), (0.6, 4))]
    image = np.zeros((*CAMERA.image_size, 3), np.uint8)
    image[:, :640], image[:, 640:] = (200, 30, 30), (30, 30, 200)
    together = people_at([Walker((-0.1, 4), (-0.1, 4)), Walker((0.1, 4), (0.1, 4))], 0, 4)
    for swapped in (False, True):
        tracker = Tracker()
        first = Seen.of(people_at(walkers, 0, 4), image=image)
        assert tracker.update(first, CAMERA, 0.0).tolist() == [0, 1]
        clothes = first.looks[::-1] if swapped else first.looks
        plain = Seen.of(together)
        later = Seen(plain.roots, plain.joints, plain.boxes, plain.heights, plain.unsure, clothes)
        assert tracker.update(later, CAMERA, 0.9).tolist() == ([1, 0] if swapped else [0, 1])
