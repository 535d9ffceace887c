import random
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState

from openhmr.lab.crops.pose2mesh import CROP_SIZE, crop_affine
from openhmr.lab.data.noise import box_area, human36_error, keypoint_radius, synthesize_pose


@pytest.fixture(scope="module")
def reference(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "pose2mesh" / "noise.npz") as file:
        return dict(file)


@pytest.mark.parametrize("seed", range(5))
def test_human36_error_repeats_the_originals_draws(reference: dict, seed: int) -> None:
    assert np.array_equal(human36_error(RandomState(3000 + seed)), reference["h36m_err_seeds"][seed])


def test_human36_error_statistics(reference: dict) -> None:
    rng = RandomState(9)
    draws = np.stack([human36_error(rng) for _ in range(20000)])
    np.testing.assert_allclose(draws.mean(0), reference["h36m_err_mean"], atol=1e-5)
    np.testing.assert_allclose(draws.std(0), reference["h36m_err_std"], atol=1e-5)
    assert np.array_equal((draws == 0).mean(0), reference["h36m_err_zero_frac"])


@pytest.mark.parametrize("area", range(2))
@pytest.mark.parametrize("seed", range(5))
def test_synthesize_pose_repeats_the_originals_draws(reference: dict, area: int, seed: int) -> None:
    rng, picker = RandomState(1000 + seed), random.Random(2000 + seed)
    out = synthesize_pose(reference["synth_in"], float(reference["synth_areas"][area]), rng, picker)
    assert out.dtype == np.float32 and np.array_equal(out, reference[f"synth_out_a{area}"][seed])


def test_synthesize_pose_statistics(reference: dict) -> None:
    rng, picker, clean = RandomState(11), random.Random(12), reference["synth_in"]
    draws = np.stack([synthesize_pose(clean, 110592, rng, picker) for _ in range(150)])
    distance = np.linalg.norm(draws[..., :2] - clean[:, :2], axis=-1)
    # Other seeds than the reference's 1500 draws: shares of 17 x 150 joints agree within sampling error.
    for share, key in (
        (distance <= reference["ks85_dist"], "frac_within_ks85"),
        (distance > reference["ks50_dist"], "frac_beyond_ks50"),
    ):
        assert abs(share.mean() - reference[key].mean()) < 4 * np.sqrt(0.25 / share.size)


def test_keypoint_radius(reference: dict) -> None:
    for percent in (10, 50, 85):
        np.testing.assert_allclose(
            keypoint_radius(percent / 100, 110592), reference[f"ks{percent}_dist"], rtol=1e-14
        )


def test_area_of_the_processed_box_is_the_crop() -> None:
    box = np.array([30, 40, 150, 200], np.float32)
    assert box_area(box, crop_affine(box, 33)) == pytest.approx(CROP_SIZE[0] * CROP_SIZE[1], rel=1e-5)


def test_a_joint_without_possible_errors_is_lost() -> None:
    # With no area all radii are 0; paired joints in one place then have no point that is nearer to
    # themselves.
    out = synthesize_pose(np.full((17, 3), 5.0), 0.0, RandomState(0), random.Random(0))
    assert np.array_equal(out[0], (5, 5, 1)) and not out[1].any()
