"""People who do not stand upright in their pictures: what is seen is turned until they do, and turned back
exactly."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import openhmr
from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import COCO, HUMAN36, MANO
from openhmr.keypoints import Keypoints
from openhmr.people import People
from openhmr.pipeline import Picture, Pipeline
from openhmr.predict.person_crop import cut, picture_px, squares, virtual_cameras
from openhmr.predict.recover import Recoverer
from openhmr.predict.upright import TURNED, rolled, rolled_cameras, unrolled_sigma, upright_rolls
from tests.test_pipeline import upright
from tests.tiny_recover import write_tiny_recoverer

QUARTERS = (1, 2, 3)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A rendered person of 192 x 256 pixels in the middle of a grey picture of 401 x 401."""
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as saved:
        out = np.full((401, 401, 3), 128, np.uint8)
        out[70:326, 100:292] = saved["picture"]
    return out


def turned(image: np.ndarray, quarters: int) -> np.ndarray:
    """Clockwise."""
    return np.ascontiguousarray(np.rot90(image, -quarters))


def turned_back(people: People, quarters: int) -> np.ndarray:
    roll = axis_angle_to_matrix(np.array([0, 0, np.pi / 2 * quarters]))
    return people.vertices @ roll  # row vectors: by the transpose


def standing(n: int = 3) -> np.ndarray:
    """Random COCO poses ``(n,19,3)`` around pixel (200, 200) with shoulders above hips."""
    pose = np.random.default_rng(0).uniform(100, 300, (n, 17, 3))
    pose[..., 2] = np.random.default_rng(1).uniform(0.3, 1, (n, 17))
    return COCO.complete(upright(pose), "present").astype(np.float32)


def turned_pose(pose: np.ndarray, angle: float, centre: float = 200.0) -> np.ndarray:
    out = pose.copy()
    out[..., :2] = (pose[..., :2] - centre) @ rolled(np.array(angle)).T + centre
    return out


def test_the_roll_is_the_trunks() -> None:
    pose = standing()
    leaning = np.arctan2(*np.array([(240 + 170 - 225 - 185) / 2, (260 + 262 - 120 - 125) / 2]))
    assert_array_equal(upright_rolls(pose, COCO), 0)
    for degrees in (40, 90, 150, 180, -60, -120):
        rolls = upright_rolls(turned_pose(pose, np.deg2rad(degrees)), COCO)
        apart = rolls + np.deg2rad(degrees) + leaning
        assert_allclose(np.angle(np.exp(1j * apart)), 0, atol=1e-3)
        assert (np.abs(rolls) > TURNED).all()
    unseen = turned_pose(pose, np.pi)
    unseen[:, [11, 12], 2] = 0.1
    assert_array_equal(upright_rolls(unseen, COCO), 0)
    unseen[:, 11, 2] = 0.9
    assert (upright_rolls(unseen, COCO) != 0).all(), "one hip is enough"
    assert upright_rolls(pose[:0], COCO).shape == (0,)
    assert_array_equal(upright_rolls(np.ones((2, MANO.size, 3)), MANO), 0)


def test_rolled_crops_are_crops_of_turned_pictures(picture: np.ndarray) -> None:
    """By a quarter turn, and by any angle where OpenCV turned the picture; large ones are averaged first."""
    crop = np.array([[200.0, 200, 190]])
    for quarters in QUARTERS:
        roll = np.array([np.pi / 2 * quarters])
        plain = cut(turned(picture, quarters), crop)
        # OpenCV rounds places to 1/32 pixel: a level or two where the picture is steep.
        assert np.abs(cut(picture, crop, rolls=roll) - plain).max() < 0.03
    large = cv2.resize(picture, (1604, 1604), interpolation=cv2.INTER_AREA)
    crop = np.array([[801.5, 801.5, 760]])
    affine = np.concatenate([rolled(np.array(0.7)), np.zeros((2, 1))], 1)
    affine[:, 2] = 801.5 - affine[:, :2] @ [801.5, 801.5]
    plain = cut(np.asarray(cv2.warpAffine(large, affine, (1604, 1604)), np.uint8), crop)
    assert np.abs(cut(large, crop, rolls=np.array([0.7])) - plain).mean() < 0.005


def test_rolled_pixels_and_cameras_agree() -> None:
    """A point along the virtual camera's own right lies to the right in the crop, whatever the roll."""
    camera = Camera(np.array([[700.0, 0, 330], [0, 700, 250], [0, 0, 1]]), (480, 640))
    crops = np.array([[460.0, 280, 300], [60, 300, 260], [330, 250, 400]])
    rolls = np.array([0.4, -2.0, np.pi])
    rotation, focal = virtual_cameras(crops, camera, rolls)
    assert_allclose(rotation @ rotation.swapaxes(1, 2), np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-12)
    right = np.array([48.0, 32.0])  # lixels: a quarter of the side to the right of the middle
    pixels = picture_px(np.broadcast_to(right, (3, 1, 2)), crops, rolls)
    seen = (camera.rays(pixels) @ rotation.swapaxes(1, 2))[:, 0]
    assert (seen[:, 0] / seen[:, 2] > 0.8 * crops[:, 2] / 4 / focal).all()
    # Off the axis a picture's plane is not the virtual camera's, which tilts "right" by a few degrees.
    assert (np.abs(seen[:, 1]) < 0.2 * seen[:, 0]).all()
    assert_allclose(rolled_cameras(np.eye(3)[None], np.array([0.3]))[0, :2, :2], rolled(np.array(0.3)))


def test_deviations_turn_back() -> None:
    sigma = np.random.default_rng(0).uniform(1, 2, (2, 5, 3)).astype(np.float32)
    rolls = np.array([np.pi / 2, 0])
    out = unrolled_sigma(sigma, rolls)
    assert_allclose(out[0], sigma[0][:, [1, 0, 2]], rtol=1e-6)
    assert_array_equal(out[1], sigma[1])
    # The variances of normal errors, drawn in the rolled axes and turned back.
    errors = np.random.default_rng(1).normal(size=(200_000, 3)) * sigma[0, 0]
    errors[:, :2] = errors[:, :2] @ rolled(np.array(0.6))
    assert_allclose(unrolled_sigma(sigma, np.array([0.6, 0]))[0, 0], errors.std(0), rtol=0.01)


def test_a_turned_pose_lifts_to_the_turned_mesh() -> None:
    """Exactly, by any angle beyond 75 degrees: the network sees the same numbers, within float32."""
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as saved:
        pose = np.concatenate([saved["joints_px"] + 50, np.ones((19, 1))], 1)[None].astype(np.float32)
    camera = Camera(np.array([[500.0, 0, 200], [0, 500, 200], [0, 0, 1]]), (401, 401))
    lifter = openhmr.load("pose2mesh-coco")
    meshes = []
    for angle in (1.6, 1.9, 3.0, -1.7, -2.2):
        people = lifter(Keypoints(COCO, turned_pose(pose, angle)), camera)
        meshes.append(people.vertices @ axis_angle_to_matrix(np.array([0, 0, angle])))
    for mesh in meshes[1:]:
        assert_allclose(mesh, meshes[0], atol=2e-4)


@pytest.mark.parametrize("quarters", QUARTERS)
def test_a_turned_picture_gives_the_turned_mesh(tmp_path: Path, tiny_body: Body, quarters: int) -> None:
    """The tiny network knows only where bright pixels lie, to a hundredth of a pixel: millimetres."""
    recoverer = Recoverer(write_tiny_recoverer(tmp_path / "m.onnx", tiny_body), tiny_body)
    image = np.zeros((401, 401, 3), np.uint8)
    image[80:280, 190:250] = 255
    x, y, w, h = 190.0, 80.0, 60.0, 200.0
    boxes = [(x, y, w, h), (401 - y - h, x, h, w), (401 - x - w, 401 - y - h, w, h), (y, 401 - x - w, h, w)]
    camera = Camera.from_focal(600, (401, 401))
    plain = recoverer(image, boxes[0], camera)
    rolls = np.array([-np.pi / 2 * quarters])
    people = recoverer(turned(image, quarters), boxes[quarters], camera, rolls=rolls)
    assert_allclose(turned_back(people, quarters), plain.vertices, atol=0.02)
    assert people.sigma is not None and plain.sigma is not None
    swap = [1, 0, 2] if quarters % 2 else [0, 1, 2]
    assert_allclose(people.sigma.joints[..., swap], plain.sigma.joints, rtol=1e-3)
    turn = rolled(np.array(np.pi / 2 * quarters))
    seen = (people.keypoints.points[..., :2] - 200) @ turn + 200
    assert_allclose(seen, plain.keypoints.points[..., :2], atol=0.3)


@pytest.mark.parametrize("quarters", QUARTERS)
@pytest.mark.parametrize("way", ["recovered", "in a box", "lifted"])
def test_a_person_in_a_turned_picture(picture: np.ndarray, quarters: int, way: str) -> None:
    """The networks that ship: the same person as in the upright picture, turned, within what a window that
    lies elsewhere by a few pixels changes."""
    lifter = openhmr.load("pose2mesh")
    pipeline = Pipeline(None if way == "lifted" else openhmr.load("i2l-body"), lifter)
    boxes = None
    if way == "in a box":
        boxes = squares(pipeline.detector(turned(picture, quarters)).boxes)  # type: ignore[arg-type]
        boxes = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2.5, np.repeat(boxes[:, 2:] / 1.25, 2, 1)], 1)
    camera = Camera.from_focal(500, (401, 401))
    plain = pipeline.one(Picture(picture, camera=camera)).people
    people = pipeline.one(Picture(turned(picture, quarters), boxes=boxes, camera=camera)).people
    assert len(people) == len(plain) == 1
    joints = [
        p.body.joint_regressor(HUMAN36) @ v[0]
        for p, v in ((plain, plain.vertices), (people, turned_back(people, quarters)))
    ]
    apart = np.linalg.norm((joints[0] - joints[0][0]) - (joints[1] - joints[1][0]), axis=-1)
    assert apart.mean() < 0.05
