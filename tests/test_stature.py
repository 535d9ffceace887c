"""How tall people are: read off posed meshes, and given."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.bodies import open_body
from openhmr.bodies.skinning import skin
from openhmr.bodies.stature import betas_of_stature, stature
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


def test_betas_of_a_height_change_no_more_than_they_must() -> None:
    betas = RNG.normal(size=(5, 10))
    found = betas_of_stature(BODY, betas, np.full(5, 1.8))
    assert_allclose(np.ptp(shaped(found)[..., 1], axis=1), 1.8, atol=0.01)
    change = found - betas
    # All changes lie along one direction, the gradient of the height: the shortest way there.
    assert np.linalg.matrix_rank(change, tol=1e-4) == 1
    assert_allclose(betas_of_stature(BODY, found, np.full(5, 1.8)), found, atol=1e-5)


def test_a_given_height_fixes_size_and_distance_but_not_the_picture() -> None:
    before = people()
    after = before.with_heights([1.6, 1.7, 1.9])
    assert_allclose(after.heights, [1.6, 1.7, 1.9], rtol=1e-5)
    seen = [p.camera.project(p.vertices) for p in (before, after)]
    assert_allclose(seen[1], seen[0], atol=0.01)
    scale = after.roots[:, 2] / before.roots[:, 2]
    assert_allclose(scale, after.heights / before.heights, rtol=1e-5)
    assert before.sigma is not None and after.sigma is not None
    assert_allclose(after.sigma.vertices, before.sigma.vertices * scale[:, None, None], rtol=1e-5)
    # The parametric mesh goes along: its root joint is where the mesh's is, and it is as tall.
    assert_allclose(after.parametric().heights, after.heights, rtol=0.05)
    assert np.linalg.norm(after.parametric().roots - after.roots, axis=1).max() < 0.03
    assert_allclose(before.with_heights(1.7).heights, 1.7, rtol=1e-5)


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
