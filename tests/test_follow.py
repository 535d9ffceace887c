"""Boxes that follow people: when they are searched for, whom a search adds, and that a clip can be gone on
with."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.follow import SEARCH_LOST_S, SEARCH_S, Follower
from openhmr.io.video import Shot
from openhmr.people import Frame
from openhmr.pipeline import Pipeline
from openhmr.predict.recover import Recoverer
from tests.bright_clips import FPS, SIZE, BrightSpots, Path_px, boxes_at, frame_of, shots
from tests.tiny_recover import write_tiny_recoverer

SEARCH_EVERY, SEARCH_LOST = math.ceil(SEARCH_S * FPS), math.ceil(SEARCH_LOST_S * FPS)
"""In frames."""
WALK = (0, 99, 20.0, 6.0)
LATER = (20, 99, 400.0, -2.0)


@pytest.fixture(scope="module")
def recoverer(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> Recoverer:
    return Recoverer(write_tiny_recoverer(tmp_path_factory.mktemp("f") / "m.onnx", tiny_body), tiny_body)


def follower_of(recoverer: Recoverer) -> tuple[Follower, BrightSpots]:
    detector = BrightSpots()
    return Follower(Pipeline(recoverer, detector=detector, keep_all=True)), detector


def middles(frame: Frame) -> np.ndarray:
    """Where the meshes are in the picture, by x."""
    return np.sort(frame.people.camera.project(frame.people.roots)[:, 0])


def test_one_person_is_searched_for_now_and_then(recoverer: Recoverer) -> None:
    follower, detector = follower_of(recoverer)
    frames = list(follower(shots([WALK], 60)))
    assert [f.index for f in frames] == list(range(60))
    assert all(f.people.track_ids.tolist() == [0] for f in frames if f.people.track_ids is not None)
    searched = [round(t * FPS) for t in detector.asked if t is not None]
    assert searched == list(range(0, 60, SEARCH_EVERY)) and follower.searches == len(searched)
    for frame in frames:
        x, _, w, _ = boxes_at([WALK], frame.index)[0]
        assert abs(middles(frame)[0] - (x + w / 2)) < 12


def test_whoever_comes_is_found_by_the_next_search(recoverer: Recoverer) -> None:
    follower, _ = follower_of(recoverer)
    counts = [len(f.people) for f in follower(shots([WALK, LATER], 40))]
    assert counts == [1] * (2 * SEARCH_EVERY) + [2] * (40 - 2 * SEARCH_EVERY)


def test_nobody_is_searched_for_in_every_frame(recoverer: Recoverer) -> None:
    follower, detector = follower_of(recoverer)
    counts = [len(f.people) for f in follower(shots([LATER], 24))]
    assert counts == [0] * 20 + [1] * 4 and len(detector.asked) == 21


def test_who_is_lost_is_searched_for_more_often(recoverer: Recoverer) -> None:
    """One leaves the picture: its box goes out with it, and for a second somebody is missing."""
    follower, detector = follower_of(recoverer)
    paths: list[Path_px] = [(0, 99, 60.0, 0.0), (0, 99, 400.0, 8.0)]
    frames = list(follower(shots(paths, 60)))
    assert len(frames[0].people) == 2 and len(frames[-1].people) == 1
    gone = next(f.index for f in frames if len(f.people) == 1)
    searched = [round(t * FPS) for t in detector.asked if t is not None]
    second = [n for n in searched if gone + SEARCH_LOST < n < gone + FPS]
    assert set(np.diff(second)) == {SEARCH_LOST}
    assert frames[-1].people.track_ids is not None and frames[-1].people.track_ids.tolist() == [0]


def test_frames_far_apart_are_all_searched(recoverer: Recoverer) -> None:
    follower, detector = follower_of(recoverer)
    assert len(list(follower(shots([WALK], 60, every=5)))) == len(detector.asked) == 12


def test_two_boxes_on_one_person_are_one(recoverer: Recoverer) -> None:
    """Two come together into one rectangle; one mesh is left, and both numbers come back."""
    follower, _ = follower_of(recoverer)
    paths: list[Path_px] = [(0, 99, 120.0, 3.0), (0, 99, 300.0, -3.0)]
    counts = [len(f.people) for f in follower(shots(paths, 50))]
    assert counts[0] == 2 and 1 in counts[25:35]


def test_one_camera_for_all(recoverer: Recoverer) -> None:
    follower, _ = follower_of(recoverer)
    frames = list(follower(shots([WALK], 3)))
    assert all(f.people.camera is frames[0].people.camera for f in frames)
    given = Camera.from_focal(700, SIZE)
    follower = Follower(follower.pipeline, given)
    assert next(iter(follower(shots([WALK], 1)))).people.camera is given
    large = Shot(1, 0.04, np.zeros((480, 640, 3), np.uint8))
    with pytest.raises(InputError, match="the frames of a clip have one size"):
        follower.frame(large)
    assert follower.frame(Shot(2, 0.08)) is None


def test_a_state_goes_on_to_the_same_frames(recoverer: Recoverer) -> None:
    paths = [WALK, LATER]
    whole = list(follower_of(recoverer)[0](shots(paths, 40)))
    first = follower_of(recoverer)[0]
    got = [f for f in (first.frame(Shot(i, i / FPS, frame_of(paths, i))) for i in range(17)) if f]
    second = follower_of(recoverer)[0]
    second.restore(first.state())
    got += [f for f in (second.frame(Shot(i, i / FPS, frame_of(paths, i))) for i in range(17, 40)) if f]
    for a, b in zip(whole, got, strict=True):
        assert a.index == b.index
        for name, value in a.people.arrays().items():
            assert_array_equal(value, b.people.arrays()[name], err_msg=name)


def test_lens_distortion_is_undone_first(recoverer: Recoverer) -> None:
    camera = replace(Camera.from_focal(500, SIZE), dist=np.array([-0.05, 0.01, 0, 0]))
    detector = BrightSpots()
    follower = Follower(Pipeline(recoverer, detector=detector, keep_all=True), camera)
    frames = list(follower(shots([WALK], 20)))
    assert all(len(f.people) == 1 and f.people.camera.dist is None for f in frames)
    assert frames[0].image is not None and len(detector.asked) == 2
