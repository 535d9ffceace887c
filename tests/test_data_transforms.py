"""Boxes, patches, random draws and joint sets of I2L-MeshNet, against recorded numbers and identities."""

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import RandomState

from openhmr.geometry.alignment import similarity_transform
from openhmr.geometry.pinhole import cam2pixel, pixel2cam, world2cam
from openhmr.joints import COCO18, HUMAN36_TOP, MUCO, SMPL29
from openhmr.joints.joint_set import transfer
from openhmr.lab.crops.i2l_meshnet import apply_affine, crop_square, cut_patch, patch_affines
from openhmr.lab.items.i2l_augmentation import Augmentation, draw_augmentation


@pytest.fixture(scope="module")
def recorded(data: Path) -> dict:
    with np.load(data / "i2l" / "transforms.npz") as file:
        return dict(file)


def test_boxes(recorded: dict) -> None:
    width, height = recorded["pbbox_wh"]
    for box, none, expected in zip(
        recorded["pbbox_in"], recorded["pbbox_is_none"], recorded["pbbox_out"], strict=True
    ):
        found = crop_square(box, (height, width))
        assert (found is None) == none
        if found is not None:
            np.testing.assert_array_equal(found, expected)


def test_box_is_moved_into_the_picture_or_cut() -> None:
    """A box that begins 30 px left of the picture: the original keeps its width, cutting loses 30 of it."""
    moved, cut = (
        crop_square([-30, 10, 101, 51], (200, 300)),
        crop_square([-30, 10, 101, 51], (200, 300), shift=False),
    )
    assert moved is not None and cut is not None
    assert moved[2] == 100 * 1.25 and cut[2] == 70 * 1.25
    assert moved[0] + moved[2] / 2 == 50 and cut[0] + cut[2] / 2 == 35
    assert (
        crop_square([-30, 10, 101, 51], (200, 300)).tolist()
        == crop_square([0, 10, 101, 51], (200, 300)).tolist()
    )


def test_patches(data: Path, recorded: dict) -> None:
    image, modern = recorded["warp_img"], int(cv2.__version__.split(".")[0]) >= 5
    with np.load(data / "i2l" / "warp_cv4.npz") as file:
        patches = recorded if modern else dict(file)
    for i, (box, scale, rotation, flip) in enumerate(
        zip(*(recorded[f"warp_{k}"] for k in ("bbox", "scale", "rot", "flip")), strict=True)
    ):
        there, back = patch_affines(box, scale, rotation, image.shape[1] if flip else 0)
        np.testing.assert_allclose(there, recorded[f"img2bb_{i}"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(back, recorded[f"bb2img_{i}"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            cut_patch(image, there, bool(flip))[::4, ::4], patches[f"patch_{i}"], rtol=0, atol=1e-3
        )


@given(
    st.floats(-50, 300),
    st.floats(10, 400),
    st.floats(0.75, 1.25),
    st.floats(-60, 60),
    st.sampled_from([0, 320]),
)
def test_patch_maps_are_inverse_and_never_shear(
    x: float, side: float, scale: float, rotation: float, mirrored: int
) -> None:
    there, back = patch_affines(np.array([x, 20, side, side]), scale, rotation, mirrored)
    points = np.random.default_rng(0).random((5, 2)) * 256
    np.testing.assert_allclose(apply_affine(there, apply_affine(back, points)), points, atol=2e-2)
    linear = there[:, :2].astype(np.float64)
    zoom = 256 / (side * scale)
    np.testing.assert_allclose(linear @ linear.T / zoom**2, np.eye(2), atol=1e-4)
    assert np.linalg.det(linear) > 0


def test_cameras(recorded: dict) -> None:
    pixels = cam2pixel(recorded["cam"], recorded["focal"], recorded["princpt"])
    np.testing.assert_allclose(pixels, recorded["pixel"], rtol=1e-12)
    np.testing.assert_allclose(
        pixel2cam(pixels, recorded["focal"], recorded["princpt"]),
        recorded["pixel_back"],
        rtol=1e-12,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        world2cam(recorded["cam"], recorded["R"], recorded["t"]), recorded["w2c"], rtol=1e-12
    )


def test_procrustes(recorded: dict) -> None:
    c, R, t = similarity_transform(recorded["pa_A"], recorded["pa_B"])
    for found, name in ((c, "scale"), (R, "R"), (t, "t")):
        np.testing.assert_allclose(found, recorded[f"pa_{name}"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seeding", ["explicit", "global"])
def test_draws(recorded: dict, seeding: str) -> None:
    """Forty draws in the original's order of calls, the last ten of them for hands."""
    seed = int(recorded["aug_seed"])
    generators = (RandomState(seed), random.Random(seed)) if seeding == "explicit" else (None, None)
    before = np.random.get_state(), random.getstate()
    try:
        np.random.seed(seed)
        random.seed(seed)
        drawn = [draw_augmentation(i < 30, *generators) for i in range(40)]
    finally:
        np.random.set_state(before[0])
        random.setstate(before[1])
    np.testing.assert_array_equal([d.scale for d in drawn], recorded["aug_scale"])
    np.testing.assert_array_equal([d.rotation_deg for d in drawn], recorded["aug_rot"])
    np.testing.assert_array_equal([d.colour for d in drawn], recorded["aug_color"])
    np.testing.assert_array_equal([d.flip for d in drawn], recorded["aug_flip"])
    assert not any(d.flip for d in drawn[30:]) and Augmentation().scale == 1


def test_joint_sets() -> None:
    swaps = {frozenset(p) for p in ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (17, 18), (19, 20))}
    assert {frozenset(p) for p in MUCO.flip_pairs} == swaps
    assert SMPL29.flip_pairs[-2:] == ((25, 26), (27, 28)) and len(SMPL29.flip_pairs) == 11
    assert COCO18.flip_pairs == tuple((i, i + 1) for i in range(1, 17, 2))
    for joint_set in (MUCO, SMPL29, COCO18, HUMAN36_TOP):
        assert (
            set(np.ravel(joint_set.skeleton)) <= set(range(joint_set.size))
            and len(set(joint_set.names)) == joint_set.size
        )


def test_transfer_is_by_name() -> None:
    values = np.arange(1, 18, dtype=np.float64)[:, None].repeat(3, 1)
    out = transfer(values, HUMAN36_TOP, SMPL29)
    assert out.dtype == np.float32 and out.shape == (29, 3)
    for row, name in zip(out, SMPL29.names, strict=True):
        assert row[0] == (HUMAN36_TOP.names.index(name) + 1 if name in HUMAN36_TOP.names else 0)
    # The head of SMPL is not the top of the head.
    assert out[SMPL29.names.index("Head")].tolist() == [0, 0, 0] and np.count_nonzero(out[:, 0]) == 16
