"""Official networks as ONNX files: the numbers of the networks, and results through the runtime."""

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from openhmr.errors import InputError
from openhmr.joints import COCO
from openhmr.lab.export.official_i2l import export_i2l
from openhmr.lab.export.official_pose2mesh import export_pose2mesh
from openhmr.lab.models.i2l_meshnet import official as official_i2l
from openhmr.lab.models.pose2mesh.network import official
from openhmr.lab.models.pose2mesh.posenet import PoseNet
from openhmr.models import load
from openhmr.predict.coarse_mesh import coarse_level
from tests.pose2mesh_weights import fill


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@torch.no_grad()
@pytest.mark.parametrize("levels", [True, False])
def test_pose2mesh_lifts(tiny_body, tmp_path: Path, levels: bool) -> None:
    body = tiny_body if levels else dataclasses.replace(tiny_body, levels={})
    network = official(COCO, body.faces, hidden=32).eval()
    fill(network)
    export_pose2mesh(network, body, COCO, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    given = np.random.default_rng(0).normal(size=(3, 19, 3)).astype(np.float32)
    coarse, pose3d, mesh = session.run(None, {"pose2d": given})
    xy = given[..., :2]
    expected, pose = network.predict(
        torch.from_numpy((xy - xy.mean(1, keepdims=True)) / xy.std(1, keepdims=True))
    )
    assert np.abs(mesh - expected.numpy()).max() < 1e-4 * np.abs(expected.numpy()).max()
    assert np.abs(1000 * pose3d - pose.numpy()).max() < 1e-4 * np.abs(pose.numpy()).max()
    assert np.array_equal(coarse, mesh[:, coarse_level(body).vertex_ids])
    pixels = np.random.default_rng(1).uniform(100, 300, (2, 19, 2))
    lifter = load(tmp_path / "net.onnx", body)
    assert lifter.poses_at_once == 4
    people = lifter(pixels)
    assert people.vertices.shape == (2, 42, 3) and np.isfinite(people.vertices).all()
    assert people.vertices[..., 2].min() > 0
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["family"], facts["form"]) == ("pose2mesh", "official")
    assert facts["level"] == ("coarse" if levels else "all") and facts["joint_set"] == "coco"
    with pytest.raises(InputError, match="stage 1 alone"):
        export_pose2mesh(PoseNet(19, 32), body, COCO, tmp_path / "none.onnx")


@torch.no_grad()
def test_i2l_recovers(tiny_body, tmp_path: Path) -> None:
    network = official_i2l("body", "param", tiny_body, 18, head_channels=4).eval()
    fill(network)
    export_i2l(network, tiny_body, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((1, 3, 256, 256), np.float32)
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, session.run(None, {"image": images}), strict=True))
    expected = network(torch.from_numpy(images))
    ids = tiny_body.level("coarse").vertex_ids
    assert np.abs(out["vertices_lixel"] - expected["mesh_coord_img"].numpy()[:, ids]).max() < 1e-2
    assert (
        np.allclose(np.linalg.det(out["rotations"]), 1, atol=1e-4)
        and out["joints_sigma"].min() > 0
        and out["scale_m"].min() > 0
    )
    result = load(tmp_path / "net.onnx", tiny_body)(np.zeros((300, 300, 3), np.uint8), [[50, 20, 120, 240]])
    assert result.vertices.shape == (1, 42, 3) and np.isfinite(result.vertices).all()
    lixel = official_i2l("body", "lixel", tiny_body, 18, head_channels=4)
    with pytest.raises(InputError, match="param stage"):
        export_i2l(lixel, tiny_body, tmp_path / "none.onnx")
