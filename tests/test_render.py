"""The rasteriser against analytic silhouettes, depths and a slow twin; the pictures against what they must
show."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from openhmr.predict.result import Result

from openhmr.geometry.camera_fit import intrinsics
from openhmr.geometry.mesh import vertex_normals
from openhmr.joints import COCO
from openhmr.render.overlay import canvas_for, overlay_picture, pose2d_picture
from openhmr.render.raster import rasterise
from openhmr.render.shading import COLOURS, render
from openhmr.render.skeleton import LEFT, RIGHT, draw_pose2d

SIZE = (120, 160)
K = intrinsics(SIZE, 150.0)


def sphere(rings: int = 40, segments: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere whose faces run counter-clockwise seen from outside."""
    polar, azimuth = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, segments + 1), indexing="ij"
    )
    points = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1
    ).reshape(-1, 3)
    index = np.arange(len(points)).reshape(polar.shape)
    a, b, c, d = (index[i : rings + i, j : segments + j].ravel() for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)))
    return points, np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)])


SPHERE = sphere()


def test_silhouette_area_of_a_sphere() -> None:
    """A sphere on the axis shows a disc of radius f r / sqrt(d^2 - r^2)."""
    points, faces = SPHERE
    d, r, scale = 5.0, 1.0, 10
    fragments = rasterise(
        points * r + [0, 0, d], faces, np.diag([scale, scale, 1.0]) @ K, (SIZE[0] * scale, SIZE[1] * scale)
    )
    expected = np.pi * (150 * scale * r) ** 2 / (d * d - r * r)
    assert_allclose(len(fragments.pixel), expected, rtol=5e-3)
    assert_allclose(fragments.depth.min(), d - r, atol=2e-3)
    assert fragments.depth.max() < d - r * r / d + 0.02  # only the near cap is seen


def test_depth_and_barycentric_coordinates_are_perspective_correct() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = np.add(rng.uniform(-1, 1, (3, 3)), (0, 0, 3))
        faces = np.array([[0, 1, 2], [0, 2, 1]])  # one of them faces the camera
        fragments = rasterise(corners, faces, K, SIZE)
        hit = (corners[faces[fragments.face]] * fragments.barycentric[..., None]).sum(1)
        pixel = hit @ K.T
        y, x = np.divmod(fragments.pixel, SIZE[1])
        assert_allclose(hit[:, 2], fragments.depth, atol=1e-3)  # tolerance at edges
        assert_allclose(pixel[:, :2] / pixel[:, 2:], np.stack([x, y], -1) + 0.5, atol=0.02)


def slow_twin(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Nearest depth per pixel by intersecting each pixel's ray with each triangle, in float64; infinity where
    none is hit."""
    depth = np.full(SIZE[0] * SIZE[1], np.inf)
    y, x = np.divmod(np.arange(len(depth)), SIZE[1])
    rays = np.stack([x + 0.5, y + 0.5, np.ones(len(x))], -1) @ np.linalg.inv(K).T
    for a, b, c in vertices[faces]:
        normal = np.cross(b - a, c - a)
        facing = rays @ normal
        z = np.where(facing < 0, normal @ a / np.where(facing < 0, facing, 1), np.inf)
        hit = np.where(np.isfinite(z), z, 0)[:, None] * rays
        inside = np.all([np.cross(q - p, hit - p) @ normal >= 0 for p, q in ((a, b), (b, c), (c, a))], axis=0)
        depth = np.where(inside & (z < depth), z, depth)
    return depth


def test_rasteriser_equals_its_slow_twin() -> None:
    points, faces = sphere(3, 4)
    vertices = np.concatenate([points * 0.6 + [0.2, 0, 3], points * 0.5 + [-0.3, 0.2, 2.6]])
    both = np.concatenate([faces, faces + len(points)])
    fragments, expected = rasterise(vertices, both, K, SIZE), slow_twin(vertices, both)
    depth = np.full(expected.shape, np.inf)
    depth[fragments.pixel] = fragments.depth
    covered = np.isfinite(expected)
    assert (covered != np.isfinite(depth)).mean() < 1e-3  # pixels whose centre lies on an edge
    both_hit = covered & np.isfinite(depth)
    assert (np.abs(depth[both_hit] - expected[both_hit]) > 1e-3).mean() < 1e-3


def test_nearer_objects_hide_farther_ones_in_any_order() -> None:
    points, faces = SPHERE
    near, far = points * 0.3 + [0, 0, 3], np.add(points, (0, 0, 5))
    for order in ((near, far), (far, near)):
        fragments = rasterise(np.concatenate(order), np.concatenate([faces, faces + len(points)]), K, SIZE)
        owner = np.full(SIZE[0] * SIZE[1], -1)
        owner[fragments.pixel] = fragments.face // len(faces)
        first = 0 if order[0] is near else 1
        middle = owner.reshape(SIZE)[60]
        assert middle[80] == first and middle[80 + 25] == 1 - first and middle[0] == -1


def test_back_faces_near_triangles_and_empty_scenes_show_nothing() -> None:
    points, faces = SPHERE
    assert not len(rasterise(np.add(points, (0, 0, -5)), faces, K, SIZE).pixel)
    assert not len(rasterise(np.add(points[:3], (0, 0, 3)), np.array([[0, 0, 1]]), K, SIZE).pixel)
    assert not len(rasterise(np.add(points, (1e6, 0, 5)), faces, K, SIZE).pixel)
    inside_out = rasterise(np.add(points, (0, 0, 5)), faces[:, ::-1], K, SIZE)
    assert inside_out.depth.min() > 4.7  # the far inner wall


def test_normals_of_a_sphere_are_its_points() -> None:
    points, faces = SPHERE
    interior = (np.abs(points[:, 2]) < 0.99) & (points[:, 1] != 0)
    seam = np.isclose(points[:, 1], 0, atol=1e-9)
    assert_allclose(vertex_normals(points, faces)[interior & ~seam], points[interior & ~seam], atol=0.01)


def test_picture_is_plain_coloured_lit_from_above_and_anti_aliased() -> None:
    points, faces = SPHERE
    layer = render(np.add(points, (0, 0, 5))[None], faces, K, SIZE)
    alpha = layer[..., 3]
    assert layer.shape == (*SIZE, 4) and layer.min() >= 0 and layer.max() <= 1
    assert_allclose(alpha.sum(), np.pi * 150**2 / 24, rtol=0.01)
    assert set(np.unique(alpha)) == {0, 0.25, 0.5, 0.75, 1}
    body = layer[alpha == 1][:, :3]
    hue = np.median(body, axis=0) / np.median(body)
    assert_allclose(hue, np.array(COLOURS[0]) / np.median(COLOURS[0]), atol=0.1)
    assert layer[38, 80, :3].mean() > layer[82, 80, :3].mean() + 0.1


def person(x: float, z: float) -> np.ndarray:
    return (SPHERE[0] * [0.3, 0.9, 0.2] + [x, 0, z]).astype(np.float32)


@pytest.fixture
def result() -> Result:
    vertices = np.stack([person(-0.2, 4), person(0.2, 3)])
    pose = np.ones((2, 19, 3), np.float32)
    pose[..., :2] = np.random.default_rng(0).uniform(20, 100, (2, 19, 2))
    return Result(vertices, SPHERE[1], {"coco": vertices[:, :19]}, K, np.zeros((2, 3)), SIZE, pose, COCO)


def test_overlay_over_a_photograph_leaves_the_background_alone(result: Result) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    large = np.kron(image, np.ones((5, 5, 1), np.uint8))
    big = Result(**{**vars(result), "K": np.diag([5, 5, 1.0]) @ K, "image_size": large.shape[:2]})
    canvas = canvas_for(big, large)
    picture = overlay_picture(big, canvas)
    assert (
        picture.dtype == np.uint8 and picture.shape[0] == large.shape[0] and picture.shape[1] > large.shape[1]
    )
    assert_array_equal(picture[:20, : large.shape[1]], large[:20])
    middle = picture[300, 400].astype(int)
    assert (
        np.abs(middle / middle.mean() - np.array(COLOURS[1]) / np.mean(COLOURS[1])).max() < 0.15
    )  # the nearer, second person


def test_blank_canvas_holds_everybody(result: Result) -> None:
    canvas = canvas_for(result, None)
    assert canvas.image.shape[0] == 720 and canvas.image.min() > 200
    pose = canvas.pose(result.pose2d)
    assert (pose[..., :2] > 0).all() and (pose[..., :2] < canvas.image.shape[1::-1]).all()
    assert pose2d_picture(result, canvas).shape == canvas.image.shape
    assert overlay_picture(result, canvas).shape[0] == 720


def test_small_photographs_are_enlarged_and_large_ones_reduced(result: Result) -> None:
    assert canvas_for(result, np.zeros((120, 160, 3), np.uint8)).image.shape == (480, 640, 3)
    canvas = canvas_for(result, np.zeros((3000, 2000, 3), np.uint8))
    assert canvas.image.shape == (1280, 853, 3)


def test_skeleton_has_the_colours_of_its_sides() -> None:
    pose = np.zeros((1, 19, 3))
    pose[0, [5, 7, 6, 8]] = [[150, 50, 1], [150, 150, 1], [50, 50, 1], [50, 150, 1]]
    image = draw_pose2d(np.full((200, 200, 3), 128, np.uint8), pose, COCO)
    assert tuple(image[100, 150]) == LEFT and tuple(image[100, 50]) == RIGHT
    assert tuple(image[50, 150]) == LEFT and tuple(image[150, 50]) == RIGHT
    assert_array_equal(image[100, 100], 128)  # no bone between missing joints
    assert_array_equal(image[:10, :10], 128)
