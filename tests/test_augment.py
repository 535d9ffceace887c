"""Crops made worse for training."""

from dataclasses import fields, replace

import numpy as np
import pytest

from openhmr.lab.synth.augment import NONE, Augmentation, cut_off, degrade

FACE = np.array([[120.0, 60], [124, 56], [116, 56], [130, 58], [110, 58]])
WAYS = [
    f.name
    for f in fields(Augmentation)
    if f.name
    not in ("scale", "rotation_deg", "rotation_share", "turned", "shift", "flip", "clip_box", "cut_off")
]


def picture(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(1, 256, (256, 256, 3)).astype(np.uint8)


def test_nothing_is_nothing() -> None:
    patch = picture(np.random.default_rng(0))
    assert np.array_equal(degrade(patch, FACE, NONE, np.random.default_rng(1)), patch)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_changes_the_patch_and_never_the_one_that_was_given(way: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        patch = picture(rng)
        before = patch.copy()
        out = degrade(patch, FACE, replace(NONE, **{way: 1}), rng)
        assert out.shape == patch.shape and out.dtype == np.uint8
        assert np.array_equal(patch, before) and not np.array_equal(out, before)


def test_only_the_face_is_hidden() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        patch = picture(rng)
        changed = (degrade(patch, FACE, replace(NONE, face=1), rng) != patch).any(-1)
        y, x = np.nonzero(changed)
        assert x.min() >= 104 and x.max() <= 140 and y.min() >= 42 and y.max() <= 78
        assert changed[52:62, 112:128].mean() > 0.9
    far = FACE + 1000
    assert np.array_equal(degrade(patch, far, replace(NONE, face=1), rng), patch)


def test_what_is_cut_off_is_black_and_the_rest_as_it_was() -> None:
    rng, sides = np.random.default_rng(4), set()
    box = np.array([60.0, 20, 90, 200])
    for _ in range(60):
        image = picture(rng)
        out, (x1, y1, x2, y2) = cut_off(image, box, rng)
        inside = np.zeros((256, 256), bool)
        inside[y1 : y2 + 1, x1 : x2 + 1] = True
        assert np.array_equal(out[inside], image[inside]) and not out[~inside].any()
        left = np.array([x1, y1, 255 - x2, 255 - y2]) > 0
        assert left.sum() == 1  # one side, and within the person
        sides.add(int(left.argmax()))
        assert 60 - 1 <= max(x1, 60) <= min(x2, 150) and 20 <= max(y1, 20) < min(y2, 220)
    assert sides == {0, 1, 2, 3}
