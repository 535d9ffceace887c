"""Smoothing over time: solvers against dense twins, fixed points, symmetries, strays, gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from openhmr.geometry import quaternions
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.sequence.outliers import LONGEST, stray_places, stray_turns
from openhmr.sequence.penalised import curvature, penalty, solve_path, stiffness
from openhmr.sequence.places import smooth_places
from openhmr.sequence.turns import fill_turns, smooth_turns

HZ = np.array([3.0, 3.0])
FPS = 30


def times(count: int) -> NDArray[np.float64]:
    return np.arange(count) / FPS


def noisy(count: int, seed: int = 0, size: float = 0.05) -> NDArray[np.float64]:
    """A path of two joints that swing, with noise ``size`` in radians."""
    rng, t = np.random.default_rng(seed), times(count)
    swing = np.stack([np.sin(5 * t), 0.4 * np.cos(3 * t), 0.7 * t], -1)
    path = quaternions.exp(np.stack([swing, swing[:, ::-1]], 1))
    return quaternions.multiply(quaternions.exp(rng.normal(0, size, (count, 2, 3))), path)


@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_quaternions_are_the_rotations_of_matrices(numbers: list[float]) -> None:
    a, b = np.array(numbers).reshape(2, 3)
    p, q = quaternions.exp(a), quaternions.exp(b)
    product = axis_angle_to_matrix(quaternions.log(quaternions.multiply(p, q)))
    assert_allclose(product, axis_angle_to_matrix(a) @ axis_angle_to_matrix(b), atol=2e-7)
    assert_allclose(quaternions.rotate(p, b), axis_angle_to_matrix(a) @ b, atol=2e-7)
    assert_allclose(quaternions.multiply(p, quaternions.inverse(p)), [1, 0, 0, 0], atol=1e-12)
    # The distance is the angle of the rotation between them.
    way = quaternions.log(quaternions.multiply(quaternions.inverse(p), q))
    assert_allclose(quaternions.between(p, q), np.linalg.norm(way), atol=1e-6)
    assert_allclose(quaternions.between(quaternions.slerp(p, q, 0.25), p), np.linalg.norm(way) / 4, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 30])
@pytest.mark.parametrize("size", [1, 3])
def test_the_solver_is_that_of_the_dense_matrix(count: int, size: int) -> None:
    rng = np.random.default_rng(count)
    seconds = np.cumsum(rng.uniform(0.5, 1.5, count))
    bends = np.zeros((max(count - 2, 0), count))
    for row, weights in enumerate(curvature(seconds) if count > 2 else []):
        bends[row, row : row + 3] = weights
    root = rng.normal(size=(count, 2, size, size))
    weights = root @ root.swapaxes(-1, -2) + 0.1 * np.eye(size)
    right = rng.normal(size=(count, 2, size, 2))
    found = solve_path(weights, right, tuple(b[:, None] for b in penalty(seconds, 30.0)))  # type: ignore[arg-type]
    for k in range(2):
        dense = np.kron(30 * bends.T @ bends, np.eye(size))
        for t in range(count):
            dense[t * size : (t + 1) * size, t * size : (t + 1) * size] += weights[t, k]
        twin = np.linalg.solve(dense, right[:, k].reshape(count * size, 2))
        assert_allclose(found[:, k].reshape(count * size, 2), twin, rtol=1e-9, atol=1e-12)


def test_the_cutoff_is_halved_and_a_line_passes() -> None:
    t = times(3000)
    for hz in (1.0, 3.0, 6.0):
        wave = np.sin(2 * np.pi * hz * t)
        bands = penalty(t, stiffness(hz, 1 / FPS))
        found = solve_path(np.ones((3000, 1, 1)), wave[:, None, None], bands)[:, 0, 0]
        middle = slice(1000, 2000)
        assert_allclose(found[middle] @ wave[middle] / (wave[middle] @ wave[middle]), 0.5, atol=1e-3)
        line = 3 * t - 7
        assert_allclose(
            solve_path(np.ones((3000, 1, 1)), line[:, None, None], bands)[:, 0, 0], line, atol=1e-7
        )


def test_rest_and_constant_turning_are_fixed_points() -> None:
    rng = np.random.default_rng(1)
    start = quaternions.exp(rng.normal(size=(2, 3)))
    weights = rng.uniform(0.2, 1, (60, 2))
    still = np.repeat(start[None], 60, 0)
    assert_allclose(smooth_turns(still, times(60), weights, HZ), still, atol=1e-12)
    # Three turns in two seconds, by uneven steps of time.
    t = np.cumsum(rng.uniform(0.5, 1.5, 60)) / FPS
    speed = np.array([[3.0, -8, 7], [0.1, 0, 0]])
    spin = quaternions.multiply(quaternions.exp(t[:, None, None] * speed), start)
    assert quaternions.between(smooth_turns(spin, t, weights, HZ), spin).max() < 1e-6
    assert not stray_turns(quaternions.exp(times(60)[:, None, None] * speed), np.array([0.8, 0.8])).any()
    way = np.array([1.0, 2, 3]) + t[:, None] * np.array([1.0, -0.5, 2])
    assert_allclose(smooth_places(way, t, weights[:, 0], 3, 0.7)[0], way, atol=1e-9)


def test_the_same_backwards_and_after_a_turn_of_the_camera() -> None:
    path, t = noisy(80), times(80)
    weights = np.random.default_rng(2).uniform(0.1, 1, (80, 2))
    weights[20:25, 0] = 0
    found = smooth_turns(path, t, weights, HZ)
    back = smooth_turns(path[::-1], t, weights[::-1], HZ)[::-1]
    assert quaternions.between(found, back).max() < 1e-6
    turn = quaternions.exp([0.3, -2, 1])
    turned = smooth_turns(quaternions.multiply(turn, path), t, weights, HZ)
    assert quaternions.between(turned, quaternions.multiply(turn, found)).max() < 1e-6
    rng = np.random.default_rng(3)
    places = np.array([0.5, 0, 5]) + np.cumsum(rng.normal(0, 0.02, (80, 3)), 0)
    smooth, _ = smooth_places(places, t, weights[:, 0], 3, 0.7)
    assert_allclose(smooth_places(places[::-1], t, weights[::-1, 0], 3, 0.7)[0][::-1], smooth, atol=1e-9)
    around = quaternions.rotate(turn, places)
    assert_allclose(
        smooth_places(around, t, weights[:, 0], 3, 0.7)[0], quaternions.rotate(turn, smooth), atol=1e-9
    )


def test_noise_goes_and_motion_stays() -> None:
    path, true = noisy(300), noisy(300, size=0)
    found = smooth_turns(path, times(300), np.ones((300, 2)), HZ)
    raw, error = quaternions.between(path, true), quaternions.between(found, true)
    assert error.mean() < 0.5 * raw.mean()
    # No delay: the error does not go with the speed.
    for shift in (-1, 1):
        assert quaternions.between(found[10:-10], true[10 + shift : 290 + shift]).mean() > 1.2 * error.mean()


def test_strays_are_found_and_replaced() -> None:
    true = noisy(120, size=0)
    path = noisy(120, size=0.02)
    flip = quaternions.exp([0, np.pi, 0])
    wrong = np.zeros((120, 2), bool)
    wrong[[17, 50, 51, 52, 119], 0] = True
    wrong[60 : 60 + LONGEST, 1] = True
    path = np.where(wrong[..., None], quaternions.multiply(path, flip), path)
    stray = stray_turns(path, np.array([0.8, 0.8]))
    assert np.array_equal(stray, wrong)
    found = smooth_turns(path, times(120), ~stray * 1.0, HZ)
    assert quaternions.between(found, true)[:, 0].max() < 0.2
    # A turn that stays is motion, however quick.
    for_good = np.where((np.arange(120) > 60)[:, None, None], quaternions.multiply(true, flip), true)
    assert not stray_turns(for_good, np.array([0.8, 0.8])).any()
    way = np.cumsum(np.full((50, 3), 0.1), 0)
    way[[0, 30, 31]] += 3
    assert np.flatnonzero(stray_places(way, 0.5)).tolist() == [0, 30, 31]
    assert stray_places(way[:1], 0.5).tolist() == [False] and not len(stray_places(way[:0], 0.5))


def test_gaps_are_filled_at_constant_speed() -> None:
    spin = quaternions.exp(times(40)[:, None, None] * np.array([[2.0, 1, -1], [0, 3, 0]]))
    known = np.ones((40, 2), bool)
    known[10:25, 0] = False
    known[:4, 1] = False
    broken = np.where(known[..., None], spin, quaternions.exp([3.0, 0, 0]))
    filled = fill_turns(broken, known, times(40))
    assert quaternions.between(filled, spin)[:, 0].max() < 1e-6
    assert quaternions.between(filled[:4, 1], spin[4, 1]).max() == 0
    assert np.array_equal(filled[known], spin[known])
