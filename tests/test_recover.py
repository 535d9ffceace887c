"""Recovery from pictures: crop, restoration and search against exact geometry, with a network that follows
bright pixels."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import openhmr
from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.geometry.camera_fit import intrinsics
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.predict.person_crop import LIXELS, PATCH, check_boxes, cut, picture_px, squares, virtual_cameras
from openhmr.predict.recover import Recoverer, restore
from openhmr.predict.search import windows
from tests.test_lift import dense_upsampling
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
        rotation, focal = virtual_cameras(crops[i : i + 1], K)
        assert_allclose(picture_px(lixels[None], crops[i : i + 1])[0], px, atol=1e-9)
        scale_m = root * (crops[i, 2] / 64) / (K[0, 0] * np.sqrt(1 + (ray**2).sum()))
        back = restore(lixels[None], crops[i : i + 1], rotation, scale_m * focal / (crops[i, 2] / LIXELS), K)
        assert_allclose(back[0], points[i], atol=1e-9)


def test_recovered_mesh_equals_its_slow_twin(recoverer: Recoverer, tiny_body: Body) -> None:
    K = np.array([[640.0, 0, 300], [0, 650, 260], [0, 0, 1]])
    result = recoverer(photo(), BOX, K=K)
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
    assert_allclose(result.vertices[0], expected, atol=1e-5)
    assert_allclose(result.joints["human36"][0], tiny_body.joint_regressors["human36"] @ expected, atol=1e-5)
    assert_allclose(result.translation, result.joints["human36"][:, 0], atol=1e-6)
    assert_array_equal(result.K, K)
    step = np.array([said["scale_m"], said["scale_m"], 2 / 64])
    assert_allclose(result.joints_sigma[0], np.broadcast_to(SIGMA * step, (19, 3)), rtol=0.05)
    assert_allclose(
        result.vertices_sigma[0], np.broadcast_to(SIGMA * step, (tiny_body.num_vertices, 3)), rtol=0.05
    )


def test_overlay_fits_the_networks_own_joints(recoverer: Recoverer) -> None:
    """The bar of 5 % of the box height, for both meshes; wherever the person stands."""
    for box in (BOX, (10.0, 300, 50, 170), (560.0, 5, 70, 240)):
        result = recoverer(photo(box), box)
        for shown in (result, result.parametric()):
            points = shown.joints["coco"] @ shown.K.T
            error = np.linalg.norm(points[..., :2] / points[..., 2:] - result.pose2d[..., :2], axis=-1)
            # One joint of the tiny body's random regressors lies where its coarse mesh, which the network
            # knows, is 10 cm off.
            assert np.sort(error[0])[-2 if shown is not result else -1] < 0.05 * box[3]


def test_the_crop_does_not_matter(recoverer: Recoverer) -> None:
    """The same person in boxes of other sizes and places: the same joints in picture and space."""
    reference = recoverer(photo(), BOX)
    for box in ((280.0, 100, 100, 260), (200.0, 60, 180, 300), (295.0, 80, 120, 280)):
        other = recoverer(photo(), box)
        assert_allclose(other.pose2d[..., :2], reference.pose2d[..., :2], atol=0.5)
        relative = [r.joints["coco"] - r.translation[:, None] for r in (other, reference)]
        assert_allclose(relative[0], relative[1], atol=0.02)
        assert_allclose(other.translation, reference.translation, rtol=0.02, atol=0.03)


def test_parametric_mesh_is_the_skinned_body(recoverer: Recoverer, tiny_body: Body) -> None:
    result = recoverer(photo((560.0, 5, 70, 240)), (560.0, 5, 70, 240))
    vertices, joints = skin(tiny_body, result.pose, result.betas, result.translation_param.astype(np.float32))
    assert_allclose(result.vertices_param, vertices, atol=1e-5)
    assert result.pose.shape == (1, 24, 3) and np.linalg.norm(result.pose[0, 0]) == pytest.approx(
        np.pi, abs=0.6
    )
    # The root's rotation left the virtual camera, which is turned by 20 degrees: in it the body stands
    # upright, but for the two degrees by which the fit to the mesh turns it.
    rotation, _ = virtual_cameras(squares(result.boxes), result.K)
    upright = rotation[0] @ axis_angle_to_matrix(result.pose[0, 0].astype(float))
    assert_allclose(upright, np.diag([1, -1, -1]), atol=0.05)
    assert_allclose(
        result.parametric().joints["smpl"], tiny_body.J_regressor @ result.vertices_param, atol=1e-5
    )
    assert joints.shape == (1, 24, 3)


def test_a_batch_equals_its_rows(recoverer: Recoverer) -> None:
    boxes = np.array([BOX, (280.0, 100, 100, 260), (295.0, 80, 120, 280)] * 4)
    together = recoverer(photo(), boxes)
    for i in (0, 5, 11):
        assert_allclose(together.vertices[i], recoverer(photo(), boxes[i]).vertices[0], atol=1e-4)


PLACES = (
    (BOX, (480, 640)),
    ((40.0, 20, 30, 100), (480, 640)),
    ((500.0, 1300, 100, 330), (1920, 1080)),
    ((20.0, 10, 40, 130), (150, 900)),
)


@pytest.mark.parametrize(("box", "size"), PLACES)
def test_without_a_box_the_person_is_found(
    recoverer: Recoverer, box: tuple[float, ...], size: tuple[int, int]
) -> None:
    result = recoverer(photo(box, size))
    x, y, w, h = result.boxes[0]
    assert abs(y + h / 2 - box[1] - box[3] / 2) < 0.04 * box[3] and abs(h - box[3]) < 0.05 * box[3]
    assert abs(x + w / 2 - box[0] - box[2] / 2) < 0.04 * box[3]


def test_windows_cover_the_picture() -> None:
    for width, height in ((640, 480), (300, 2000), (90, 90)):
        x, y, w, h = windows(width, height).T
        assert len(x) <= 60
        crops = squares(windows(width, height))
        low, high = crops[1:, :2] - crops[1:, 2:] / 2, crops[1:, :2] + crops[1:, 2:] / 2
        assert low.min() > -1e-6 and (high < (width + 1e-6, height + 1e-6)).all()
        assert (x[0], y[0], w[0], h[0]) == (0, 0, width, height)


def test_a_picture_without_anybody_gives_finite_numbers(recoverer: Recoverer) -> None:
    for size in ((480, 640), (3, 2), (1, 1), (5, 4000)):
        result = recoverer(np.zeros((*size, 3), np.uint8))
        assert (
            np.isfinite(result.vertices).all()
            and np.isfinite(result.vertices_param).all()
            and (result.vertices[..., 2] > 0).all()
        )


@pytest.mark.parametrize(
    "boxes",
    [
        (0, 0, 0, 50),
        (0, 0, 50, -1),
        (700, 0, 50, 50),
        (-60, 0, 50, 50),
        (0, 500, 20, 20),
        (0, 0, np.nan, 5),
        (0, 0, 1e9, 1e9),
        (1, 2, 3),
        "0,0,5,5",
        np.zeros((0, 4)),
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
    result = recoverer(photo(box), box)
    assert_array_equal(result.boxes, [box])
    assert np.isfinite(result.vertices).all()


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), "photo.jpg"]
)
def test_bad_images(recoverer: Recoverer, image: object) -> None:
    with pytest.raises(InputError, match="RGB uint8"):
        recoverer(image)  # type: ignore[arg-type]


def test_bad_focal_lengths(recoverer: Recoverer) -> None:
    for focal in (0, -5, float("nan"), 1, "700", True):
        with pytest.raises(InputError, match="focal length"):
            recoverer(photo(), BOX, focal=focal)


def test_bad_camera_matrices(recoverer: Recoverer) -> None:
    turned = np.diag([7, 7, 1]) + np.eye(3)[::-1]
    for K in (
        np.eye(4),
        np.zeros((3, 3)),
        np.full((3, 3), np.nan),
        [700, 320, 240],
        "q",
        [[1], [2, 3]],
        turned,
    ):
        with pytest.raises(InputError, match="camera matrix"):
            recoverer(photo(), BOX, K=K)  # type: ignore[arg-type]


def test_without_focal_length_it_is_the_lifts(recoverer: Recoverer) -> None:
    assert_array_equal(recoverer(photo(), BOX).K, intrinsics((480, 640)))
    assert recoverer(photo(), BOX, focal=900).K[0, 0] == 900


def test_saved_arrays(recoverer: Recoverer, tmp_path: Path) -> None:
    result = recoverer(photo(), BOX)
    result.save_npz(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz") as saved:
        lift = {
            "vertices",
            "faces",
            "joints_smpl",
            "joints_human36",
            "joints_coco",
            "camera_K",
            "camera_translation",
            "image_size",
        }
        own = {
            "boxes",
            "vertices_sigma",
            "joints_sigma",
            "pose",
            "betas",
            "vertices_param",
            "translation_param",
        }
        assert set(saved) == lift | own | {"pose2d", "joint_set"}
        assert_array_equal(saved["vertices_param"], result.vertices_param)


def test_models_of_other_bodies_and_kinds_are_refused(tmp_path: Path, tiny_body: Body) -> None:
    for made_for, kind in (("0123", "i2l-body"), (None, "i2l-hand")):
        path = write_tiny_recoverer(tmp_path / "m.onnx", tiny_body, made_for, kind)
        with pytest.raises(InputError, match="one export"):
            Recoverer(path, tiny_body)
    with pytest.raises(InputError, match="does not exist"):
        Recoverer(tmp_path / "none.onnx", tiny_body)
    with pytest.raises(InputError, match="there is no model 'i2l-dog'"):
        openhmr.load("i2l-dog")
