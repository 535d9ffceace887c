"""How tall people are: read off posed meshes, and given."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.bodies import open_body
from openhmr.bodies.skinning import skin
from openhmr.bodies.stature import grown_betas, stature
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People, Rig, Sigma

BODY, RNG = open_body(), np.random.default_rng(0)


def shaped(betas: np.ndarray) -> np.ndarray:
    return BODY.v_template + np.einsum("vcs,ns->nvc", BODY.shapedirs, betas)


def people(count: int = 3) -> People:
    pose = RNG.normal(size=(count, 24, 3)) * 0.2
    pose[:, 0] = [np.pi, 0, 0]  # upright before a camera whose y points down
    betas = RNG.normal(size=(count, 10)).astype(np.float32)
    place = RNG.normal(size=(count, 3)) * 0.3 + [0, 0, 4]
    vertices = skin(BODY, pose, betas)[0] + place[:, None].astype(np.float32)
    points = np.ones((count, COCO.size, 3), np.float32)
    sigma = Sigma(np.full(vertices.shape, 0.02, np.float32), np.full(points.shape, 0.02, np.float32))
    camera = Camera.from_focal(900.0, (1000, 1000))
    return People(BODY, camera, Keypoints(COCO, points), vertices, Rig(pose, betas, place), sigma)


def test_the_height_of_a_posed_person_is_that_of_the_t_pose() -> None:
    betas = RNG.normal(size=(40, 10))
    pose = RNG.normal(size=(40, 24, 3)) * 0.25
    error = stature(BODY, skin(BODY, pose, betas)[0]) - np.ptp(shaped(betas)[..., 1], axis=1)
    assert np.abs(error).mean() < 0.03 and np.abs(error).max() < 0.1
    assert_allclose(stature(BODY, BODY.v_template[None]), np.ptp(BODY.v_template[:, 1]), rtol=1e-6)


def test_the_larger_copy_of_a_body_is_the_nearest_of_its_height() -> None:
    """In the T-pose nothing of that height is nearer: along all directions that keep it the slope is zero."""
    betas, scale, pose = RNG.normal(size=(5, 10)), RNG.uniform(0.9, 1.1, 5), np.zeros((5, 24, 3))
    height = stature(BODY, shaped(betas)) * scale
    found = grown_betas(BODY, pose, betas, scale, height).astype(np.float64)
    assert_allclose(stature(BODY, shaped(found)), height, rtol=2e-5)
    difference = scale[:, None, None] * shaped(betas) - shaped(found)
    difference -= difference.mean(1, keepdims=True)
    slope = np.einsum("nvc,vcs->ns", difference, BODY.shapedirs)
    steps = np.concatenate([np.eye(10), -np.eye(10)]) / 10
    higher = np.subtract(*stature(BODY, shaped(steps)).reshape(2, 10)) * 5
    across = slope - np.outer(slope @ higher, higher) / (higher @ higher)
    assert np.abs(across).max() < 1e-3 * np.abs(slope).max()
    same = grown_betas(BODY, pose, betas, np.ones(5), stature(BODY, shaped(betas)))
    assert_allclose(same, betas, atol=1e-3)


def test_a_given_height_fixes_size_and_distance_but_not_the_picture() -> None:
    before = people()
    heights = before.heights * [1.05, 0.95, 1.0]
    plain, after = replace(before, rig=None).with_heights(heights), before.with_heights(heights)
    scale = heights / before.heights
    for grown, off_px in ((plain, 0.01), (after, 5)):
        assert_allclose(grown.heights, heights, rtol=1e-4)
        seen = [p.camera.project(p.vertices) for p in (before, grown)]
        assert_allclose(seen[1], seen[0], atol=off_px)
        assert_allclose(grown.roots, before.roots * scale[:, None], rtol=1e-5)
        assert before.sigma is not None and grown.sigma is not None
        assert_allclose(grown.sigma.vertices, before.sigma.vertices * scale[:, None, None], rtol=1e-5)
    distance = 1000 * np.linalg.norm(after.vertices - plain.vertices, axis=-1).mean(1)
    assert distance.max() < 5 and distance[2] < 0.1
    assert_allclose(before.with_heights(1.7).heights, 1.7, rtol=1e-3)


def test_a_given_height_keeps_mesh_and_parameters_one_body() -> None:
    """Exactly, where they were; else the difference grows along."""
    before = people()
    after = before.with_heights([1.6, 1.7, 1.9])
    assert_allclose(after.parametric().vertices, after.vertices, atol=2e-6)
    apart = RNG.normal(size=before.vertices.shape).astype(np.float32) * np.float32(0.005)
    free = replace(before, vertices=before.vertices + apart)
    scale = [1.6, 1.7, 1.9] / free.heights
    after = free.with_heights([1.6, 1.7, 1.9])
    difference = after.vertices - after.parametric().vertices
    assert_allclose(difference, apart * scale[:, None, None], atol=5e-6)


def test_the_mesh_that_the_network_drew_grows_along() -> None:
    before = people()
    before = replace(before, lixel_vertices=before.vertices + np.float32(0.01))
    after, scale = before.with_heights(1.9), 1.9 / before.heights
    assert_allclose(after.lixel().roots, before.lixel().roots * scale[:, None], rtol=1e-5)
    rows = [before.camera.project(p.lixel().vertices) for p in (before, after)]
    assert_allclose(rows[1], rows[0], atol=0.01)


@pytest.mark.parametrize("heights", ["tall", None, 1.8j, [1.7, [1.8]], 19, [1.7, 1.8], 0, np.nan, [[1.7]]])
def test_heights_that_nobody_has_are_refused(heights: object) -> None:
    with pytest.raises(InputError, match=r"heights are .* 0\.3 to 2\.8 metres"):
        people().with_heights(heights)  # type: ignore[arg-type]
