from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openhmr.errors import InputError
from openhmr.geometry.pinhole import cam2pixel, pixel2cam, world2cam
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet
from openhmr.lab.crops.pose2mesh import (
    CROP_SIZE,
    crop_affine,
    j2d_processing,
    j3d_processing,
    solve_affine,
    standardise_axes,
    tight_box,
    widened_box,
)

SETS = [HUMAN36, COCO, SMPL, MANO]


@pytest.fixture(scope="module")
def reference(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "pose2mesh" / "coords.npz") as file:
        return dict(file)


@pytest.mark.parametrize("joint_set", SETS, ids=lambda s: s.name)
def test_boxes_are_the_originals_to_the_bit(reference: dict, joint_set: JointSet) -> None:
    name = joint_set.name
    box = tight_box(reference[f"{name}_img"])
    processed, square = widened_box(box), widened_box(box, aspect=1.0, scale=1.25)
    assert processed is not None and square is not None
    assert box.dtype == processed.dtype == square.dtype == np.float32
    assert np.array_equal(box, reference[f"{name}_bbox"])
    assert np.array_equal(processed, reference[f"{name}_pbbox"])
    assert np.array_equal(square, reference[f"{name}_pbbox_sq125"])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0, 25])
@pytest.mark.parametrize("joint_set", SETS, ids=lambda s: s.name)
def test_normalisation_is_the_originals_to_the_bit(
    reference: dict, joint_set: JointSet, rotation: int, flip: bool
) -> None:
    name, key = joint_set.name, f"{joint_set.name}_r{rotation}_f{int(flip)}"
    pairs = joint_set.flip_pairs or joint_set.extra_edges  # the reference swaps a hand's neighbouring fingers
    joints, transform = j2d_processing(
        reference[f"{name}_img"], CROP_SIZE, reference[f"{name}_pbbox"], rotation, flip, pairs
    )
    assert np.array_equal(transform, reference[f"{key}_trans"])
    joints[:, :2] /= CROP_SIZE
    assert np.array_equal(joints, reference[f"{key}_j2d"])
    assert np.array_equal(standardise_axes(joints[:, :2]), reference[f"{key}_norm"])
    out = j3d_processing(reference[f"{name}_cam"], rotation, flip, pairs)
    # Products of three terms may be summed in another order by another BLAS: two units in the last place of
    # metres in mm.
    np.testing.assert_allclose(out, reference[f"{key}_j3d"], rtol=2.5e-7, atol=2e-4)


def test_integer_poses_are_truncated(reference: dict) -> None:
    points = reference["int_in"]
    box = widened_box(tight_box(points))
    assert box is not None
    truncated, _ = j2d_processing(points, CROP_SIZE, box, 0, False, ())
    exact, _ = j2d_processing(points.astype(np.float64), CROP_SIZE, box, 0, False, ())
    assert np.array_equal(truncated, reference["int_out"]) and np.array_equal(
        exact, reference["int_out_if_float"]
    )
    assert np.array_equal(truncated, np.trunc(truncated)) and not np.array_equal(truncated, exact)


@pytest.mark.parametrize("case", range(3))
def test_empty_boxes(reference: dict, case: int) -> None:
    out = widened_box(reference[f"pb_n{case}_in"])
    assert (out is None) == bool(reference[f"pb_n{case}_none"])
    assert out is None or np.array_equal(out, reference[f"pb_n{case}"])


coordinate = st.floats(-4000, 4000, width=32)


@settings(max_examples=200, deadline=None)
@given(st.lists(coordinate, min_size=12, max_size=12))
def test_affine_equals_opencv_to_the_bit(numbers: list[float]) -> None:
    src, dst = np.array(numbers, np.float32).reshape(2, 3, 2)
    if abs(np.linalg.det(np.column_stack([src.astype(np.float64), np.ones(3)]))) < 1:
        return
    assert np.array_equal(solve_affine(src, dst), cv2.getAffineTransform(src, dst))


def test_affine_refuses_a_line() -> None:
    with pytest.raises(InputError, match="line"):
        solve_affine(np.array([(0, 0), (1, 1), (2, 2)]), np.zeros((3, 2)))


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 900), st.floats(0, 900), st.floats(5, 500), st.floats(5, 500), st.floats(-180, 180))
def test_crop_is_a_similarity_that_centres_the_box(
    x: float, y: float, w: float, h: float, angle: float
) -> None:
    box = widened_box(np.array([x, y, w, h], np.float32))
    if box is None:
        return
    m = crop_affine(box, angle)
    scale = CROP_SIZE[0] / box[2]
    np.testing.assert_allclose(m[:, :2] @ m[:, :2].T, scale**2 * np.eye(2), rtol=2e-3, atol=2e-3 * scale**2)
    assert np.linalg.det(m[:, :2]) > 0
    np.testing.assert_allclose(
        m @ [box[0] + box[2] / 2, box[1] + box[3] / 2, 1], (144, 192), atol=0.05 * max(1, scale)
    )


@given(st.floats(0.1, 50), st.floats(-500, 500))
def test_standardise_ignores_place_and_scale(scale: float, shift: float) -> None:
    pose = np.random.default_rng(3).random((17, 2))
    out = standardise_axes(pose)
    np.testing.assert_allclose(
        standardise_axes(pose * scale + shift), out, atol=5e-3 + 1e-5 * abs(shift) / scale * 17
    )
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(0), 1, atol=1e-6)


def test_standardise_of_a_line_is_not_finite() -> None:
    pose = np.stack([np.arange(17.0), np.zeros(17)], -1)
    assert np.isnan(standardise_axes(pose)[:, 1]).all() and np.isfinite(standardise_axes(pose)[:, 0]).all()


def test_camera(reference: dict) -> None:
    focal, centre = reference["focal"], reference["princpt"]
    for joint_set in SETS:
        projected = cam2pixel(reference[f"{joint_set.name}_cam"], focal, centre)
        assert np.array_equal(projected, reference[f"{joint_set.name}_img"])
    np.testing.assert_allclose(
        world2cam(reference["w2c_in"], reference["w2c_R"], reference["w2c_t"]),
        reference["w2c_out"],
        rtol=1e-14,
    )
    np.testing.assert_allclose(
        pixel2cam(reference["p2c_in"], focal, centre), reference["p2c_out"], rtol=1e-13
    )
    points = np.random.default_rng(0).uniform(0.5, 3, size=(4, 5, 3))
    np.testing.assert_allclose(pixel2cam(cam2pixel(points, focal, centre), focal, centre), points, rtol=1e-12)
