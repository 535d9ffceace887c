"""Recovery from pictures: crop and restoration against exact geometry, with a network that follows bright
pixels."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.predict.person_crop import LIXELS, PATCH, check_boxes, cut, picture_px, squares, virtual_cameras
from openhmr.predict.recover import Recoverer, restore
from tests.test_lift import dense_upsampling
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import SIGMA, write_tiny_recoverer

BOX = (300.0, 120.0, 60.0, 200.0)


@pytest.fixture(scope="module")
def recoverer(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> Recoverer:
    return Recoverer(write_tiny_recoverer(tmp_path_factory.mktemp("onnx") / "m.onnx", tiny_body), tiny_body)


def photo(box: tuple[float, ...] = BOX, size: tuple[int, int] = (480, 640)) -> np.ndarray:
    """Dark, with a white rectangle whose pixels lie within ``box``."""
    out = np.zeros((*size, 3), np.uint8)
    x, y, w, h = (round(v) for v in box)
    out[max(y, 0) : y + h, max(x, 0) : x + w] = 255
    return out


@pytest.mark.parametrize("side", [100.0, 250.0, 383.0, 385.0, 700.0, 1500.0])
def test_crop_keeps_coordinates_at_every_scale(side: float) -> None:
    """A soft spot at a fraction of a pixel comes out where the affine map puts it, with and without averaging
    first."""
    spot, crop = np.array([1190.7, 1015.4]), np.array([[1203.3, 998.7, side]])
    y, x = np.mgrid[:1900, :2000]
    bell = np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * (side / 25) ** 2))
    grey = cut(np.repeat(np.rint(255 * bell).astype(np.uint8)[..., None], 3, -1), crop)[0, 0].astype(
        np.float64
    )
    rows, columns = np.mgrid[:PATCH, :PATCH]
    found = np.array([(grey * columns).sum(), (grey * rows).sum()]) / grey.sum()
    assert_allclose(found, (spot - crop[0, :2]) * PATCH / side + PATCH / 2, atol=0.03)


def test_crop_is_black_outside_and_not_shifted() -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    crop = squares(np.array([[-50.0, -50, 80, 80]]))
    assert_allclose(crop, [[-10, -10, 100]])
    patch = cut(image, crop)[0]
    edge = PATCH / 2 + 10 * PATCH / 100
    assert (patch[:, : int(edge) - 3] == 0).all() and (patch[:, :, : int(edge) - 3] == 0).all()
    assert_allclose(patch[:, int(edge) + 3 :, int(edge) + 3 :], 200 / 255, atol=1e-6)


def test_large_crops_are_averaged_not_sampled() -> None:
    image = np.random.default_rng(0).integers(0, 255, (1600, 1600, 1), np.uint8).repeat(3, -1)
    patch = cut(image, np.array([[800.0, 800, 1536]]))[0]
    assert patch.std() < 0.35 * image.std() / 255


def test_restoration_inverts_the_training_targets() -> None:
    """Points before a camera become lixels by the definition of the training targets; restoring gives the
    points back."""
    rng = np.random.default_rng(0)
    K = np.array([[700.0, 0, 330], [0, 710, 250], [0, 0, 1]])
    camera = Camera(K, (480, 640))
    points = (
        rng.normal(size=(3, 40, 3)) * [0.3, 0.7, 0.3]
        + np.array([[0.8, 0.2, 4], [-2, 0.5, 5], [0, 0, 3]])[:, None]
    )
    crops = np.array([[460.0, 280, 300], [60, 300, 260], [330, 250, 400]])
    for i in range(3):
        ray = np.array([(crops[i, 0] - K[0, 2]) / K[0, 0], (crops[i, 1] - K[1, 2]) / K[1, 1]])
        turn = gaze_rotation(ray[:1], ray[1:])[0]
        axis = np.cross([*ray, 1], [0, 0, 1])
        angle = np.arctan2(np.linalg.norm(axis), 1)
        assert_allclose(
            turn, axis_angle_to_matrix(axis / max(np.linalg.norm(axis), 1e-12) * angle), atol=1e-7
        )
        seen = points[i] @ turn.T
        root = seen[0, 2]
        px = points[i] @ K.T
        px = px[:, :2] / px[:, 2:]
        xy = (px - (crops[i, :2] - crops[i, 2] / 2)) / crops[i, 2] * 64
        lixels = np.concatenate([xy, ((seen[:, 2:] - root) / 1.0 + 1) / 2 * 64], 1)
        rotation, focal = virtual_cameras(crops[i : i + 1], camera)
        assert_allclose(picture_px(lixels[None], crops[i : i + 1])[0], px, atol=1e-9)
        scale_m = root * (crops[i, 2] / 64) / (K[0, 0] * np.sqrt(1 + (ray**2).sum()))
        back = restore(
            lixels[None], crops[i : i + 1], rotation, scale_m * focal / (crops[i, 2] / LIXELS), camera
        )
        assert_allclose(back[0], points[i], atol=1e-9)


def test_recovered_mesh_equals_its_slow_twin(recoverer: Recoverer, tiny_body: Body) -> None:
    K = np.array([[640.0, 0, 300], [0, 650, 260], [0, 0, 1]])
    people = recoverer(photo(), BOX, Camera(K, (480, 640)))
    crop = squares(np.array([BOX]))[0]
    said = {k: v[0].astype(np.float64) for k, v in recoverer.run(cut(photo(), crop[None])).items()}
    ray = (crop[:2] - K[:2, 2]) / K[(0, 1), (0, 1)]
    depth_root = said["scale_m"] * K[0, 0] * np.sqrt(1 + ray @ ray) * 64 / crop[2]
    turn = gaze_rotation(ray[:1], ray[1:])[0]
    coarse = []
    for x, y, z in said["vertices_lixel"]:
        pixel = crop[:2] + np.array([x - 32, y - 32]) * crop[2] / 64
        direction = turn @ [(pixel[0] - 300) / 640, (pixel[1] - 260) / 650, 1]
        coarse.append(turn.T @ (direction / direction[2] * (depth_root + z / 32 - 1)))
    expected = dense_upsampling(tiny_body) @ np.array(coarse)
    drawn = people.lixel()
    assert_allclose(drawn.vertices[0], expected, atol=1e-5)
    assert_allclose(drawn.joints("human36")[0], tiny_body.joint_regressor("human36") @ expected, atol=1e-5)
    assert_array_equal(people.camera.K, K)
    assert people.sigma is not None
    step = np.array([said["scale_m"], said["scale_m"], 2 / 64])
    assert_allclose(people.sigma.joints[0], np.broadcast_to(SIGMA * step, (19, 3)), rtol=0.05)
    assert_allclose(
        people.sigma.vertices[0], np.broadcast_to(SIGMA * step, (tiny_body.num_vertices, 3)), rtol=0.05
    )


def test_overlay_fits_the_networks_own_joints(recoverer: Recoverer) -> None:
    """The bar of 5 % of the box height, for both meshes; wherever the person stands."""
    for box in (BOX, (10.0, 300, 50, 170), (560.0, 5, 70, 240)):
        people = recoverer(photo(box), box)
        for shown in (people.lixel(), people):
            seen = shown.camera.project(shown.joints("coco"))
            error = np.linalg.norm(seen - people.keypoints.points[..., :2], axis=-1)
            # The tiny body's random weights and regressors let few of its joints follow the coarse mesh.
            assert (np.median if shown is people else np.max)(error[0]) < 0.05 * box[3]


def test_the_crop_does_not_matter(recoverer: Recoverer) -> None:
    """The same person in boxes of other sizes and places: the same joints in picture and space."""
    reference = recoverer(photo(), BOX)
    for box in ((280.0, 100, 100, 260), (200.0, 60, 180, 300), (295.0, 80, 120, 280)):
        other = recoverer(photo(), box)
        assert_allclose(other.keypoints.points[..., :2], reference.keypoints.points[..., :2], atol=0.5)
        relative = [p.joints("coco") - p.roots[:, None] for p in (other, reference)]
        assert_allclose(relative[0], relative[1], atol=0.02)
        assert_allclose(other.roots, reference.roots, rtol=0.02, atol=0.03)


def test_distortion_is_undone_in_picture_and_boxes(recoverer: Recoverer) -> None:
    """A lens that bends lines moves the bright rectangle; undone, the person is where a straight lens sees
    it."""
    camera = Camera.from_focal(600, (480, 640))
    bent = Camera(camera.K, (480, 640), dist=[0.12, 0, 0, 0])
    box = (480.0, 300.0, 60.0, 150.0)
    y, x = np.mgrid[:480, :640].astype(float)
    straight = bent.undistort_points(np.stack([x, y], -1))
    inside = (straight >= np.array(box[:2]) - 0.5) & (straight <= np.array(box[:2]) + box[2:] - 0.5)
    distorted = np.where(inside.all(-1, keepdims=True), np.uint8(255), np.uint8(0)).repeat(3, -1)
    rows, columns = np.nonzero(distorted[..., 0])
    seen = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    people, plain = recoverer(distorted, seen, bent), recoverer(photo(box), box, camera)
    assert people.camera.dist is None
    assert_allclose(people.keypoints.points[..., :2], plain.keypoints.points[..., :2], atol=1)
    assert_allclose(people.roots, plain.roots, rtol=0.01, atol=0.01)
    relative = [p.vertices - p.roots[:, None] for p in (people, plain)]
    assert_allclose(relative[0], relative[1], atol=0.02)


def test_parametric_mesh_is_the_skinned_body(recoverer: Recoverer, tiny_body: Body) -> None:
    people = recoverer(photo((560.0, 5, 70, 240)), (560.0, 5, 70, 240))
    rig, boxes = people.rig, people.keypoints.boxes
    assert rig is not None and boxes is not None
    vertices, _ = skin(tiny_body, rig.pose, rig.betas, rig.translation.astype(np.float32))
    assert_allclose(people.parametric().vertices, vertices, atol=1e-5)
    assert rig.pose.shape == (1, 24, 3)
    assert np.linalg.norm(rig.pose[0, 0]) == pytest.approx(np.pi, abs=0.6)
    # The root's rotation left the virtual camera, which is turned by 20 degrees: in it the body stands
    # upright, but for the few degrees by which the fit to the mesh, of 24 joints to few vertices, turns it.
    rotation, _ = virtual_cameras(squares(boxes), people.camera)
    upright = rotation[0] @ axis_angle_to_matrix(rig.pose[0, 0].astype(float))
    assert_allclose(upright, np.diag([1, -1, -1]), atol=0.15)


def test_a_batch_equals_its_rows(recoverer: Recoverer) -> None:
    boxes = np.array([BOX, (280.0, 100, 100, 260), (295.0, 80, 120, 280)] * 4)
    together = recoverer(photo(), boxes)
    for i in (0, 5, 11):
        assert_allclose(together.vertices[i], recoverer(photo(), boxes[i]).vertices[0], atol=1e-4)


def test_a_picture_without_anybody_gives_finite_numbers(recoverer: Recoverer) -> None:
    for size in ((480, 640), (3, 2), (5, 4000)):
        people = recoverer(np.zeros((*size, 3), np.uint8), (0, 0, 2, 2))
        assert np.isfinite(people.vertices).all() and np.isfinite(people.parametric().vertices).all()
        assert (people.vertices[..., 2] > 0).all()


def test_no_boxes_are_nobody(recoverer: Recoverer) -> None:
    """As where none are given and the detector finds nobody."""
    for people in (recoverer(photo(), np.zeros((0, 4))), recoverer(photo())):
        assert len(people) == 0 and people.joints("coco").shape == (0, 19, 3)


@pytest.mark.parametrize(
    "boxes",
    [
        (0, 0, 0, 50),
        (0, 0, 50, -1),
        (700, 0, 50, 50),
        (-60, 0, 50, 50),
        (0, 500, 20, 20),
        (0, 0, np.nan, 5),
        (0, 0, 1e5, 1e5),
        (1, 2, 3),
        "0,0,5,5",
        np.zeros((101, 4)),
        np.zeros((1, 1, 4)),
        (0, 0, 1, 1),
    ],
)
def test_bad_boxes(boxes: object) -> None:
    with pytest.raises(InputError, match="box"):
        check_boxes(boxes, (480, 640))  # type: ignore[arg-type]


def test_boxes_partly_outside_are_taken(recoverer: Recoverer) -> None:
    box = (-30.0, 200, 80, 400)
    people = recoverer(photo(box), box)
    assert_array_equal(people.keypoints.boxes, [box])  # type: ignore[arg-type]
    assert np.isfinite(people.vertices).all()


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), None, 7]
)
def test_bad_images(recoverer: Recoverer, image: object) -> None:
    with pytest.raises(InputError, match="RGB uint8"):
        recoverer(image)  # type: ignore[arg-type]


def test_files_pil_images_and_arrays_are_one(recoverer: Recoverer, tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    given = recoverer(photo(), BOX)
    for image in (tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(photo())):
        assert_array_equal(recoverer(image, BOX).vertices, given.vertices)
    with pytest.raises(InputError, match="does not exist"):
        recoverer("no.jpg", BOX)


def test_without_focal_length_it_is_the_lifts(recoverer: Recoverer) -> None:
    assert_array_equal(recoverer(photo(), BOX).camera.K, Camera.assumed((480, 640)).K)
    with pytest.raises(InputError, match=r"picture has \(height, width\) \(480, 640\).*\(640, 480\)"):
        recoverer(photo(), BOX, Camera.assumed((640, 480)))


def test_models_of_other_bodies_and_kinds_are_refused(tmp_path: Path, tiny_body: Body) -> None:
    with pytest.raises(InputError, match="was made for the body '0123'"):
        Recoverer(write_tiny_recoverer(tmp_path / "m.onnx", tiny_body, "0123"), tiny_body)
    with pytest.raises(InputError, match="no I2L-MeshNet of a body"):
        Recoverer(write_tiny_recoverer(tmp_path / "m.onnx", tiny_body, None, "i2l-hand"), tiny_body)
    with pytest.raises(InputError, match="no I2L-MeshNet of a body"):
        Recoverer(write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19), tiny_body)
    with pytest.raises(InputError, match="does not exist"):
        Recoverer(tmp_path / "none.onnx", tiny_body)
