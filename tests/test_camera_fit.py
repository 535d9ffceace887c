"""The camera fit against exact synthetic cameras."""

import numpy as np
from numpy.testing import assert_allclose

from openhmr.camera import Camera
from openhmr.geometry.camera_fit import NEAR_M, fit_translation, fit_weak_perspective


def scenes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, pixels, weights, true translations, K of ``n`` people 2 to 10 m away."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 19, 3)) * (0.3, 0.5, 0.3)
    t = np.stack([rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), rng.uniform(2, 10, n)], -1)
    K = Camera.from_focal(700, (480, 640)).K
    placed = (points + t[:, None]) @ K.T
    return points, placed[..., :2] / placed[..., 2:], rng.uniform(0.2, 1, (n, 19)), t, K


def test_exact_translation_is_recovered() -> None:
    points, pixels, weights, t, K = scenes(200)
    assert_allclose(fit_translation(points, pixels, weights, K), t, atol=1e-6)


def test_one_wild_outlier_does_not_matter() -> None:
    points, pixels, weights, t, K = scenes(200)
    rng = np.random.default_rng(1)
    pixels[np.arange(200), rng.integers(0, 19, 200)] += rng.normal(size=(200, 2)) * 1000
    assert_allclose(fit_translation(points, pixels, weights, K), t, atol=1e-6)


def test_missing_joints_do_not_matter() -> None:
    points, pixels, weights, t, K = scenes(50)
    weights[:, ::3], pixels[:, ::3] = 0, 0
    assert_allclose(fit_translation(points, pixels, weights, K), t, atol=1e-6)


def test_a_batch_equals_its_rows() -> None:
    points, pixels, weights, _, K = scenes(5)
    pixels += np.random.default_rng(2).normal(size=pixels.shape) * 5
    together = fit_translation(points, pixels, weights, K)
    assert_allclose(
        together, [fit_translation(*row, K) for row in zip(points, pixels, weights, strict=True)], rtol=1e-9
    )


def test_noisy_fit_is_a_minimum_of_the_reprojection_error_nearby() -> None:
    """With unit noise the robust optimum lies within a hundredth of the depth of the truth."""
    points, pixels, weights, t, K = scenes(100, seed=4)
    pixels += np.random.default_rng(3).normal(size=pixels.shape)
    error = np.abs(fit_translation(points, pixels, weights, K) - t)
    assert np.median(error[:, 2] / t[:, 2]) < 0.01 and error[:, :2].max() < 0.1


def test_contradicting_poses_stay_before_the_camera() -> None:
    points, pixels, weights, _, K = scenes(20)
    t = fit_translation(points * -1, pixels, weights, K)
    assert np.isfinite(t).all()
    assert ((-points + t[:, None])[..., 2].min(1) >= NEAR_M - 1e-9).all()


def test_weak_perspective_is_exact_and_matches_least_squares() -> None:
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(19, 3)), rng.uniform(0, 1, 19)
    s, t = fit_weak_perspective(points, 120 * points[:, :2] + [30, -7], weights)
    assert_allclose([s, *t], [120, 30, -7])
    pixels = 120 * points[:, :2] + rng.normal(size=(19, 2)) * 9
    s, t = fit_weak_perspective(points, pixels, weights)
    rows = np.concatenate(
        [np.stack([points[:, i], np.full(19, i == 0), np.full(19, i == 1)], -1) for i in (0, 1)]
    )
    root = np.sqrt(np.tile(weights, 2))
    expected = np.linalg.lstsq(rows * root[:, None], pixels.T.ravel() * root, rcond=None)[0]
    assert_allclose([s, *t], expected)
