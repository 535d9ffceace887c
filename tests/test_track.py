"""Who is who: assignment against SciPy, walkers of the open body against the truth."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.geometry.boxes import overlaps
from openhmr.sequence.assign import assign
from openhmr.sequence.track import GAP_S, Seen, Tracker
from tests.walkers import CAMERA, FPS, Noise, Walker, idf1, people_at, watched

OPPOSITE = (Walker((-1.5, 4), (1.5, 4)), Walker((1.5, 4.6), (-1.5, 4.6), 1.75, 1.0))
OVERTAKING = (Walker((-1.5, 4), (1.5, 4)), Walker((-2, 5), (2.8, 5), 1.72, 1.0))
ALONG_THE_VIEW = (Walker((-0.5, 7), (0.6, 3)), Walker((0.5, 3), (-0.6, 7), 1.75, 2.0))
THREE = (Walker((-1.5, 4), (1.5, 4)), Walker((1.5, 5), (-1.5, 5), 1.8, 1.0), Walker((0.5, 7), (0.5, 3), 1.6))


@pytest.mark.parametrize("seed", range(20))
def test_assignment_is_the_best(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    for _ in range(20):
        n, m = rng.integers(0, 8, 2)
        cost, most = rng.random((n, m)), 0.6
        cost[rng.random((n, m)) < 0.2] = np.inf
        pairs = assign(cost, most)
        assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
        mine = sum(cost[p] for p in pairs) + most * (n - len(pairs))
        whole = np.full((n, m + n), 1e3)
        whole[:, :m] = np.where(np.isfinite(cost), cost, 1e3)
        whole[np.arange(n), m + np.arange(n)] = most
        assert_allclose(mine, whole[optimize.linear_sum_assignment(whole)].sum(), atol=1e-12)


def test_overlaps() -> None:
    boxes = np.array([[0.0, 0, 2, 2], [1, 1, 2, 2], [5, 5, 1, 1]])
    assert_allclose(overlaps(boxes, boxes), [[1, 1 / 7, 0], [1 / 7, 1, 0], [0, 0, 1]])


def test_idf1_by_hand() -> None:
    """Two people swap in the last of four frames: six of eight are explained."""
    true = [np.array([0, 1])] * 4
    assert idf1(true, true) == 1
    assert idf1(true, [*true[:3], np.array([1, 0])]) == 0.75
    assert idf1(true, [np.array([i, 7]) for i in range(4)]) == 2 * (1 + 4) / 16


@pytest.mark.parametrize("walkers", [OPPOSITE, OVERTAKING, ALONG_THE_VIEW, THREE])
def test_walkers_who_cross(walkers: Sequence[Walker]) -> None:
    """With errors of depth, pose and place, and gaps: nobody behind another is seen, and one in twenty frames
    is missed besides."""
    rng = np.random.default_rng(0)
    true, found, tracker, gaps = [], [], Tracker(), 0
    for time_s, rows, people in watched(walkers, 4.0, Noise(), rng, fps=10):
        true.append(rows)
        found.append(tracker(people, time_s))
        gaps += len(walkers) - len(rows)
    assert gaps > 5
    assert idf1(true, found) >= 0.98


@pytest.mark.parametrize(("gap", "same"), [(0.9 * GAP_S, True), (1.3 * GAP_S, False)])
def test_a_gap_of_a_second(gap: float, same: bool) -> None:
    walkers = (Walker((-1.0, 4), (1.0, 4)),)
    tracker = Tracker()
    for time_s in np.arange(0, 1, 1 / FPS):
        ids = tracker(people_at(walkers, time_s, 4.0), time_s)
    assert ids.tolist() == [0] and len(tracker.missing()) == 0
    nobody = people_at(walkers, 1.0, 4.0)[[]]
    tracker(nobody, 1.0 + gap / 2)
    assert tracker.missing().tolist() == [0]
    back = 1 - 1 / FPS + gap
    assert tracker(people_at(walkers, back, 4.0), back).tolist() == [0 if same else 1]


def test_somebody_elsewhere_is_somebody_else() -> None:
    tracker = Tracker()
    assert tracker(people_at([Walker((-1.5, 4), (-1.5, 4))], 0, 4), 0.0).tolist() == [0]
    assert tracker(people_at([Walker((1.5, 4), (1.5, 4))], 0, 4), 0.04).tolist() == [1]


def test_a_state_goes_on_to_the_same_numbers() -> None:
    rng = np.random.default_rng(1)
    frames = [(t, Seen.of(p)) for t, _, p in watched(THREE, 2.0, Noise(), rng, fps=10)]
    whole, first, second = Tracker(), Tracker(), Tracker()
    expected = [whole.update(seen, CAMERA, t) for t, seen in frames]
    got = [first.update(seen, CAMERA, t) for t, seen in frames[:9]]
    second.restore(first.state())
    got += [second.update(seen, CAMERA, t) for t, seen in frames[9:]]
    for a, b in zip(expected, got, strict=True):
        assert_array_equal(a, b)
    for name, value in whole.state().items():
        assert_array_equal(value, second.state()[name])


def test_boxes_move_with_people() -> None:
    tracker, walkers = Tracker(), [Walker((-1.5, 4), (1.5, 4)), Walker((1.0, 6), (1.0, 3))]
    for time_s in np.arange(0, 1, 0.1):
        tracker(people_at(walkers, time_s, 4.0), time_s)
    ids, boxes = tracker.predicted_boxes(time_s + 0.1, CAMERA)
    assert ids.tolist() == [0, 1]
    then = Seen.of(people_at(walkers, time_s + 0.1, 4.0)).boxes
    assert overlaps(boxes, then).diagonal().min() > 0.75
    stale = Seen.of(people_at(walkers, time_s, 4.0)).boxes
    middle, before = ((b[:, :2] + b[:, 2:] / 2) for b in (boxes, stale))
    assert_allclose(middle - before, then[:, :2] + then[:, 2:] / 2 - before, atol=12)
