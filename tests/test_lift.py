"""The lifter against float64 twins on a tiny model, and its contract with the network's training."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import openhmr
from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.geometry.camera_fit import intrinsics
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.io.pose2d import check_pose2d
from openhmr.joints import COCO
from openhmr.joints.coco import add_pelvis_neck
from openhmr.predict.lift import Lifter, look_at, standardise
from tests.tiny_lifter import base_vertices, weights, write_tiny_model


@pytest.fixture
def lifter(tmp_path: Path, tiny_body: Body) -> Lifter:
    return Lifter(write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19), tiny_body)


def poses(n: int = 3) -> np.ndarray:
    out = np.random.default_rng(0).uniform(50, 400, (n, 17, 3))
    out[..., 2] = np.random.default_rng(1).uniform(0.3, 1, (n, 17))
    out[0, 3] = out[1, 11] = 0
    return out


def dense_upsampling(body: Body) -> np.ndarray:
    rows, cols, values = body.level("coarse").upsample  # type: ignore[misc]
    out = np.zeros((body.num_vertices, len(body.level("coarse").vertex_ids)))
    out[rows, cols] = values
    return out


def test_lift_equals_its_dense_twin(lifter: Lifter, tiny_body: Body) -> None:
    result = lifter(poses(), focal=600, image_size=(480, 640))
    # Slow twin of the virtual camera: Rodrigues' rotation of the mean ray onto the optical axis, person by
    # person.
    pose, turns = check_pose2d(poses(), COCO).astype(np.float64), []
    for person in pose:
        seen = person[:, 2] > 0
        rays = np.concatenate([(person[:, :2] - (320, 240)) / 600, np.ones((19, 1))], 1)
        mean = rays[seen].mean(0)
        axis = np.cross(mean, (0, 0, 1))
        angle = np.arctan2(np.linalg.norm(axis), mean[2])
        turn = axis_angle_to_matrix(axis / np.linalg.norm(axis) * angle)
        assert_allclose(turn @ mean / np.linalg.norm(mean), (0, 0, 1), atol=1e-7)
        turned = rays @ turn.T
        person[seen, :2] = turned[seen, :2] / turned[seen, 2:]
        turns.append(turn)
    inputs = standardise(pose.astype(np.float32)).astype(np.float64)
    coarse = base_vertices(tiny_body) + (inputs.reshape(3, -1) @ weights(tiny_body, 19, 0.01)).reshape(
        3, -1, 3
    )
    coarse = coarse @ np.array(turns)
    expected = dense_upsampling(tiny_body) @ coarse + result.translation[:, None]
    assert_allclose(result.vertices, expected, rtol=1e-6, atol=1e-5)
    regressors = {"smpl": tiny_body.J_regressor} | dict(tiny_body.joint_regressors)
    for name, regressor in regressors.items():
        joints = regressor.astype(np.float64) @ expected
        assert_allclose(
            result.joints[name], add_pelvis_neck(joints) if name == "coco" else joints, rtol=1e-6, atol=1e-5
        )
    assert_array_equal(result.K, intrinsics((480, 640), 600))
    assert_array_equal(result.faces, tiny_body.faces)


def test_true_projection_gives_back_its_camera(tmp_path: Path, tiny_body: Body) -> None:
    """With a network that always returns the base mesh, the fit must find where the mesh was put."""
    lifter = Lifter(write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19, strength=0), tiny_body)
    joints = (
        add_pelvis_neck(tiny_body.joint_regressors["coco"].astype(float))
        @ dense_upsampling(tiny_body)
        @ base_vertices(tiny_body)
    )
    t, K = np.array([0.3, -0.2, 4.0]), intrinsics((480, 640), 700)
    turn = np.eye(3)
    for _ in range(30):
        # The base mesh is in the axes of the camera that looks at it, which depends on where it is seen: a
        # fixed point.
        pixels = (joints @ turn + t) @ K.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        turn = look_at(np.concatenate([pixels, np.ones((19, 1))], 1)[None].astype(np.float32), K)[1][0]
    result = lifter(pixels, focal=700, image_size=(480, 640))
    assert_allclose(result.translation[0], t, atol=2e-3)
    assert result.reprojection_px()[0] < 0.01


def test_a_batch_equals_its_rows(lifter: Lifter) -> None:
    together = lifter(poses(70), image_size=(480, 640)).vertices
    for i in (0, 63, 64, 69):
        assert_allclose(together[i], lifter(poses(70)[i], image_size=(480, 640)).vertices[0], atol=1e-5)


def test_standardisation() -> None:
    pose = check_pose2d(poses(), COCO)
    out = standardise(pose)
    present = pose[..., 2] > 0
    for row, mask in zip(out, present, strict=True):
        assert_allclose(row[mask, :2].mean(0), 0, atol=1e-6)
        assert_allclose((row[mask, :2] ** 2).mean(), 1, rtol=1e-5)
        assert_array_equal(row[~mask], 0)
    assert_array_equal(out[..., 2], pose[..., 2])
    moved = pose * [3, 3, 1] + np.where(present[..., None], [40, -7, 0], 0)
    assert_allclose(standardise(moved.astype(np.float32)), out, atol=1e-5)


def test_standardisation_is_that_of_training() -> None:
    torch = pytest.importorskip("torch")
    from openhmr.lab.synth.pairs import gaze, look
    from openhmr.lab.synth.pairs import standardise as of_training

    pose, K = check_pose2d(poses(), COCO), intrinsics((480, 640), 600)
    turned, rotation = look_at(pose, K)
    rays = torch.as_tensor(pose - np.array([320, 240, 0], np.float32)) / torch.tensor([600.0, 600, 1])
    turn = gaze(rays)
    assert_allclose(turn.numpy(), rotation, atol=1e-6)
    assert_allclose(turned, look(rays, turn).numpy(), atol=1e-6)
    assert_allclose(standardise(turned), of_training(torch.as_tensor(turned)).numpy(), atol=1e-6)


def test_without_camera_the_people_stand_in_the_picture(lifter: Lifter) -> None:
    result = lifter(poses())
    height, width = result.image_size
    assert_allclose(result.K, intrinsics((height, width)))
    assert result.pose2d[..., 0].max() < width and result.pose2d[..., 1].max() < height
    assert (result.vertices[..., 2] > 0).all()


@pytest.mark.parametrize("focal", [0, -5, float("nan"), float("inf")])
def test_bad_focal_length(lifter: Lifter, focal: float) -> None:
    with pytest.raises(InputError, match="focal length"):
        lifter(poses(), focal=focal)


def test_bad_image_size(lifter: Lifter) -> None:
    for size in ("a", (480,), (480, "640"), (0, 640), (480, float("nan")), 640):
        with pytest.raises(InputError, match="image_size"):
            lifter(20.0 + np.arange(34).reshape(17, 2), image_size=size)  # type: ignore[arg-type]


def test_models_of_other_bodies_sets_and_kinds_are_refused(tmp_path: Path, tiny_body: Body) -> None:
    for joint_set, made_for in (("coco", "0123"), ("mano", None)):
        path = write_tiny_model(tmp_path / "m.onnx", tiny_body, joint_set, 19, made_for=made_for)
        with pytest.raises(InputError, match="one export"):
            Lifter(path, tiny_body)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="not a usable ONNX model"):
        Lifter(tmp_path / "text.onnx", tiny_body)
    with pytest.raises(InputError, match="does not exist"):
        Lifter(tmp_path / "none.onnx", tiny_body)
    with pytest.raises(InputError, match="there is no model 'pose2mesh-dog'"):
        openhmr.load("pose2mesh-dog")


def test_shipped_model_lifts_without_torch() -> None:
    code = (
        "import sys, openhmr, numpy as np\n"
        "result = openhmr.load('pose2mesh-coco')(np.random.default_rng(0).uniform(0, 500, (17, 2)))\n"
        "assert np.isfinite(result.vertices).all() and len(result.vertices[0]) > 6000\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'onnx', 'openhmr.lab'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
