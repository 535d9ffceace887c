"""The rasteriser against analytic silhouettes, depths and a slow twin; the pictures against what they must
show."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.geometry.mesh import vertex_normals
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People
from openhmr.render.compose import over, scaling
from openhmr.render.figure import dress
from openhmr.render.overlay import MAX_PIXELS, canvas_for, overlay_picture, pose2d_picture
from openhmr.render.raster import rasterise
from openhmr.render.scene import draw, render
from openhmr.render.side import side_view
from openhmr.render.skeleton import LEFT, RIGHT, draw_pose2d
from openhmr.render.suit import PLAIN

SIZE = (120, 160)
K = np.array([[150.0, 0, 79.5], [0, 150, 59.5], [0, 0, 1]])


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


def plain_body(points: np.ndarray, faces: np.ndarray) -> Body:
    """A body of one joint, which no suit is known for."""
    v = len(points)
    return Body(
        points, np.zeros((v, 3, 1)), np.zeros((v, 3, 0)), np.full((1, v), 1 / v), np.ones((v, 1)), [-1], faces
    )


BODY = plain_body(*SPHERE)


def test_silhouette_area_of_a_sphere() -> None:
    """A sphere on the axis shows a disc of radius f r / sqrt(d^2 - r^2)."""
    points, faces = SPHERE
    d, r, scale = 5.0, 1.0, 10
    fragments = rasterise(
        points * r + [0, 0, d], faces, scaling(scale, scale) @ K, (SIZE[0] * scale, SIZE[1] * scale)
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
        assert_allclose(pixel[:, :2] / pixel[:, 2:], np.stack([x, y], -1), atol=0.02)


def slow_twin(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Nearest depth per pixel by intersecting each pixel's ray with each triangle, in float64; infinity where
    none is hit."""
    depth = np.full(SIZE[0] * SIZE[1], np.inf)
    y, x = np.divmod(np.arange(len(depth)), SIZE[1])
    rays = np.stack([x, y, np.ones(len(x))], -1) @ np.linalg.inv(K).T
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


def at_pixel(x: float, y: float, radius_px: float) -> np.ndarray:
    """A sphere 5 m away that is projected onto a disc around pixel (x, y)."""
    centre = Camera(K, SIZE).rays(np.array([x, y])) * 5
    return SPHERE[0] * (radius_px / 150 * 5) + centre


def test_a_small_sphere_lights_its_own_pixel_alone() -> None:
    for x, y in ((10, 20), (0, 0), (159, 119)):
        fragments = rasterise(at_pixel(x, y, 0.4), SPHERE[1], K, SIZE)
        assert_array_equal(fragments.pixel, [y * SIZE[1] + x])
        layer = render(at_pixel(x, y, 0.4)[None], BODY, K, SIZE)
        assert_array_equal(np.argwhere(layer[..., 3]), [[y, x]])


def centroid(weights: np.ndarray) -> np.ndarray:
    y, x = np.indices(weights.shape)
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def test_joints_and_bones_are_drawn_around_their_own_pixels() -> None:
    for x, y in ((10, 20), (10.5, 20.25)):
        pose = np.zeros((1, 19, 3))
        pose[0, 0] = x, y, 1
        changed = draw_pose2d(np.zeros((40, 30, 3), np.uint8), pose, COCO).any(-1)
        assert_allclose(centroid(changed), [x, y], atol=0.2)  # OpenCV's discs are no rounder
    pose[0, [5, 7]] = [[10, -50, 1], [10, 500, 1]]
    bone = draw_pose2d(np.zeros((40, 30, 3), np.uint8), pose, COCO)[30].astype(float).sum(-1)
    assert_allclose(bone[:10], bone[20:10:-1], atol=20)  # of 765


def test_meshes_stay_on_the_photograph_at_every_scale() -> None:
    for size in ((120, 160), (480, 640), (1500, 2000), (2400, 3200)):
        scale = size[0] / SIZE[0]
        camera = Camera(scaling(scale, scale) @ K, size)
        people = People(BODY, camera, keypoints(0), at_pixel(60, 70, 3)[None].astype(np.float32))
        at = scaling(scale, scale) @ [60, 70, 1]
        y, x = np.ogrid[: size[0], : size[1]]
        blob = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (6 * scale) ** 2))
        canvas = canvas_for(people, np.repeat(np.rint(blob).astype(np.uint8)[..., None], 3, 2))
        assert np.prod(canvas.image.shape[:2]) <= MAX_PIXELS * 1.001
        layer = render(people.vertices, BODY, canvas.to_canvas @ camera.K, canvas.image.shape[:2])
        expected = centroid(canvas.image[..., 0].astype(float))
        assert_allclose(canvas.pose(np.array([[[*at[:2], 1]]]))[0, 0, :2], expected, atol=0.02)
        assert_allclose(centroid(layer[..., 3]), expected, atol=0.15 * max(1, canvas.image.shape[0] / 480))


def test_picture_is_plain_coloured_lit_from_above_and_anti_aliased() -> None:
    layer = render(np.add(SPHERE[0], (0, 0, 5))[None], BODY, K, SIZE)
    alpha = layer[..., 3]
    assert layer.shape == (*SIZE, 4) and layer.min() >= 0 and layer.max() <= 1
    assert_allclose(alpha.sum(), np.pi * 150**2 / 24, rtol=0.01)
    assert set(np.unique(alpha)) == {0, 0.25, 0.5, 0.75, 1}
    body = layer[alpha == 1][:, :3]
    hue = np.median(body, axis=0) / np.median(body)
    assert_allclose(hue, np.array(PLAIN[0]) / np.median(PLAIN[0]), atol=0.1)
    assert layer[38, 80, :3].mean() > layer[82, 80, :3].mean() + 0.1


def test_people_drawn_one_by_one_hide_each_other_as_in_one_mesh() -> None:
    points, faces = SPHERE
    meshes = np.stack(
        [np.add(points, (-0.4, 0, 5)), np.add(points, (0.4, 0.1, 5.2)), points * 0.3 + [0, 0, 3]]
    )
    figures = dress(meshes, BODY)
    layer = draw(figures, K, SIZE)
    assert_array_equal(layer, draw(figures[::-1], K, SIZE))
    together = np.concatenate([faces + i * len(points) for i in range(3)])
    owners = rasterise(meshes.reshape(-1, 3), together, scaling(2, 2) @ K, (240, 320))
    alone = np.stack([draw([figure], K, SIZE) for figure in figures])
    owner = np.full((240, 320), -1)
    owner.ravel()[owners.pixel] = owners.face // len(faces)
    quads = owner.reshape(120, 2, 160, 2).swapaxes(1, 2).reshape(120, 160, 4)
    for i in range(3):
        whole = (quads == i).all(-1)
        assert whole.sum() > 300
        assert_allclose(layer[whole], alone[i][whole], atol=0.05)  # creases see what is visible
    assert_allclose(layer[..., 3], (quads >= 0).mean(-1), atol=1e-6)


def test_layers_lie_over_pictures() -> None:
    layer = np.array([[[0, 0, 0, 0], [1, 0.5, 0, 1], [0.25, 0.25, 0.25, 0.5]]], np.float32)
    image = np.full((1, 3, 3), 100, np.uint8)
    assert_array_equal(over(image, layer)[0], [[100, 100, 100], [255, 128, 0], [114, 114, 114]])
    assert_array_equal(over(100, layer), over(image, layer))


def keypoints(people: int) -> Keypoints:
    points = np.ones((people, 19, 3), np.float32)
    points[..., :2] = np.random.default_rng(0).uniform(20, 100, (people, 19, 2))
    return Keypoints(COCO, points, SIZE)


def person(x: float, z: float) -> np.ndarray:
    return (SPHERE[0] * [0.3, 0.9, 0.2] + [x, 0, z]).astype(np.float32)


@pytest.fixture
def people() -> People:
    vertices = np.stack([person(-0.2, 4), person(0.2, 3)])
    return People(BODY, Camera(K, SIZE), keypoints(2), vertices)


def test_overlay_over_a_photograph_leaves_the_background_alone(people: People) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    large = np.kron(image, np.ones((5, 5, 1), np.uint8))
    size = large.shape[0], large.shape[1]
    big = People(BODY, Camera(scaling(5, 5) @ K, size), keypoints(2), people.vertices)
    canvas = canvas_for(big, large)
    assert canvas.image is large, "shown at its own size"
    picture = overlay_picture(big, canvas)
    assert picture.dtype == np.uint8 and picture.shape[0] == size[0] and picture.shape[1] > size[1]
    assert_array_equal(picture[:20, : size[1]], large[:20])
    middle = picture[300, 400].astype(int)
    expected = np.array(PLAIN[1]) / np.mean(PLAIN[1])  # the nearer, second person
    assert_allclose(middle / middle.mean(), expected, atol=0.15)


def test_blank_canvas_holds_everybody_and_shows_the_2d_pose_beside_the_mesh(people: People) -> None:
    canvas = canvas_for(people, None)
    height, width = canvas.image.shape[:2]
    assert height == 720 and canvas.image.min() > 200
    pose = canvas.pose(people.keypoints.points)
    assert (pose[..., :2] > 0).all() and (pose[..., :2] < (width, height)).all()
    skeletons, overlay = pose2d_picture(people, canvas), overlay_picture(people, canvas)
    assert_array_equal(overlay[:, :width], skeletons)
    assert overlay.shape[0] == 720 and overlay.shape[1] > 2 * width + 4
    mesh = overlay[:, width + 2 : 2 * width + 2]
    assert (mesh.astype(int).min(-1) < 180).mean() > 0.05
    unseen = replace(people, keypoints=Keypoints(COCO, np.zeros((2, 19, 3), np.float32), SIZE))
    alone = overlay_picture(unseen, canvas_for(people, None))
    assert_array_equal(alone, overlay[:, width + 2 :])  # no empty panel where no pose was given


def test_nobody_is_a_picture_without_anybody(people: People) -> None:
    nobody = People(BODY, people.camera, keypoints(0), people.vertices[:0])
    for image in (None, np.full((*SIZE, 3), 7, np.uint8)):
        canvas = canvas_for(nobody, image)
        assert canvas.image.shape[0] / canvas.image.shape[1] == pytest.approx(SIZE[0] / SIZE[1], abs=0.1)
        assert_array_equal(overlay_picture(nobody, canvas), canvas.image)
        assert_array_equal(pose2d_picture(nobody, canvas), canvas.image)


def test_small_photographs_are_enlarged_and_large_ones_reduced(people: People) -> None:
    assert canvas_for(people, np.zeros((120, 160, 3), np.uint8)).image.shape == (480, 640, 3)
    assert canvas_for(people, np.zeros((3000, 2000, 3), np.uint8)).image.shape == (2449, 1633, 3)


def drawn(panel: np.ndarray) -> np.ndarray:
    """Where a panel is neither paper nor floor."""
    return panel.astype(int).min(-1) < 155


def test_from_the_side_who_is_near_is_on_the_left_and_stands_on_a_line() -> None:
    panel = side_view(dress(np.stack([person(0, 4), person(0, 4.7)]), BODY), 400)
    columns = np.flatnonzero(drawn(panel).any(0))
    nearer, farther = panel[200, columns[0] + 15].astype(int), panel[200, columns[-1] - 15].astype(int)
    for colour, plain in ((nearer, PLAIN[0]), (farther, PLAIN[1])):
        assert_allclose(colour / colour.mean(), np.array(plain) / np.mean(plain), atol=0.2)
    rows = np.flatnonzero(drawn(panel).any(1))
    floor = np.flatnonzero(np.abs(panel[:, columns[0] - 4].astype(int) - (168, 174, 182)).max(-1) < 8)
    assert len(floor) and np.abs(floor - rows[-1]).max() <= 2


def test_people_far_apart_have_cells_of_their_own() -> None:
    together = side_view(dress(np.stack([person(0, 4), person(0, 5)]), BODY), 400)
    assert np.flatnonzero(drawn(together).any(1)).size > 200
    apart = side_view(dress(np.stack([person(0, 4), person(0, 40), person(3, 90)]), BODY), 400)
    assert np.flatnonzero(drawn(apart[:200]).any(1)).size > 150
    for cell in (apart[:200, :124], apart[:200, 124:], apart[200:, :124]):
        assert drawn(cell).sum() > 2000
    assert not drawn(apart[200:, 124:]).any()


def test_gravity_levels_the_side_view() -> None:
    figures = dress(np.stack([person(0, 4), person(0.5, 4.7)]), BODY)
    pitch = np.array([[1, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
    tilted = [figure.moved(pitch, np.zeros(3)) for figure in figures]
    level, again = side_view(figures, 200), side_view(tilted, 200, pitch[:, 1])
    assert level.shape == again.shape
    assert np.abs(level.astype(int) - again).mean() < 0.5


def test_skeleton_has_the_colours_of_its_sides() -> None:
    pose = np.zeros((1, 19, 3))
    pose[0, [5, 7, 6, 8]] = [[150, 50, 1], [150, 150, 1], [50, 50, 1], [50, 150, 1]]
    image = draw_pose2d(np.full((200, 200, 3), 128, np.uint8), pose, COCO)
    assert tuple(image[100, 150]) == LEFT and tuple(image[100, 50]) == RIGHT
    assert tuple(image[50, 150]) == LEFT and tuple(image[150, 50]) == RIGHT
    assert_array_equal(image[100, 100], 128)  # no bone between missing joints
    assert_array_equal(image[:10, :10], 128)
    assert_array_equal(draw_pose2d(image, np.zeros((1, 19, 3)), COCO), image)  # nothing seen
