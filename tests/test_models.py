"""`openhmr.load`: names, files, bodies; and what it leaves behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, parser, save_model

import openhmr
from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_hand
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.predict.lift import Lifter
from openhmr.predict.recover import Recoverer
from openhmr.predict.session import read_metadata
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

LIFTS = {"joint_set": "coco"}


def test_a_file_is_what_its_metadata_say(tmp_path: Path, tiny_body: Body) -> None:
    lifter, recoverer = tmp_path / "i2l-body.onnx", tmp_path / "pose2mesh.onnx"
    write_tiny_model(lifter, tiny_body, "human36", 17)
    write_tiny_recoverer(recoverer, tiny_body)
    tiny_body.save(tmp_path / "body.npz")
    for body in (tiny_body, tmp_path / "body.npz", str(tmp_path / "body.npz")):
        assert isinstance(openhmr.load(lifter, body), Lifter)
        assert isinstance(openhmr.load(str(recoverer), body), Recoverer)


def test_shipped_models_by_name() -> None:
    assert {"i2l-body", "pose2mesh"} <= set(openhmr.available())
    assert isinstance(openhmr.load("i2l-body"), Recoverer)
    for name, joints in (("pose2mesh", "coco"), ("pose2mesh-coco", "coco"), ("pose2mesh-body25", "body25")):
        lifter = openhmr.load(name)
        assert isinstance(lifter, Lifter) and lifter.joint_set.name == joints


def test_the_hand_has_a_network_of_its_own() -> None:
    points = np.random.default_rng(0).uniform(100, 300, (21, 2)).astype(np.float32)
    right = openhmr.load("pose2mesh-mano")
    left = openhmr.load("pose2mesh-mano", hand="left")
    assert isinstance(right, Lifter) and right.joint_set.name == "mano" and right.body is open_hand()
    camera = Camera.from_focal(700, (400, 400))
    mirrored = points * [-1, 1] + [399, 0]
    meshes = [lifter(p, camera).vertices for lifter, p in ((right, points), (left, mirrored))]
    np.testing.assert_allclose(meshes[1] * [-1, 1, 1], meshes[0], atol=1e-5)


def test_wrong_names_files_and_bodies(tmp_path: Path, tiny_body: Body) -> None:
    with pytest.raises(
        InputError,
        match="no model 'pose2mesh-dog'; load one of detector, hand_detector, i2l-body, pose2mesh-mano, "
        "pose2mesh,",
    ):
        openhmr.load("pose2mesh-dog")
    with pytest.raises(InputError, match="a model is given as NoneType; give its name"):
        openhmr.load(None)  # type: ignore[call-overload]
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="not a readable ONNX model"):
        openhmr.load(tmp_path / "text.onnx")
    path = write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19)
    with pytest.raises(InputError, match="was made for the body"):
        openhmr.load(path)
    with pytest.raises(InputError, match="missing.npz cannot be read"):
        openhmr.load(path, tmp_path / "missing.npz")


@pytest.mark.parametrize(
    ("facts", "graph", "cause"),
    [
        (
            LIFTS,
            "(float[n,17,3] pose2d) => (float[n,12,3] vertices)",
            "pose2d of shape ('batch', 19, 3) is needed",
        ),
        (LIFTS, "(float[n,19,3] pose) => (float[n,12,3] vertices)", "takes pose "),
        (LIFTS, "(float[n,19,3] pose2d) => (float[n,19,3] vertices)", "returns vertices ['n', 19, 3]; "),
        (LIFTS, "(float[n,19,3] pose2d) => (float[n,19] vertices)", "returns vertices "),
        (LIFTS, "(float[n,19,3] pose2d, float[n] y) => (float[n,12,3] vertices)", "takes pose2d"),
        (
            {"kind": "i2l-body"},
            "(float[n,3,256,256] image) => (float[n,19,3] joints_lixel)",
            "returns joints_lixel ",
        ),
    ],
)
def test_networks_that_are_not_what_their_metadata_say(
    tmp_path: Path, tiny_body: Body, facts: dict[str, str], graph: str, cause: str
) -> None:
    first, last = graph.split()[1].rstrip(",)"), graph.split()[-1].rstrip(")")
    text = f'<ir_version: 8, opset_import: ["" : 17]> net {graph} {{ {last} = Identity({first}) }}'
    network = parser.parse_model(text)
    helper.set_model_props(network, facts | {"body": tiny_body.content_hash()})
    save_model(network, tmp_path / "net.onnx")
    with pytest.raises(InputError, match=re.escape(cause)):
        openhmr.load(tmp_path / "net.onnx", tiny_body)


def test_metadata_of_damaged_files(tmp_path: Path, tiny_body: Body) -> None:
    """Every truncation either keeps the metadata or is refused, and no byte of noise is followed astray."""
    whole = write_tiny_model(tmp_path / "m.onnx", tiny_body, "coco", 19).read_bytes()
    assert read_metadata(tmp_path / "m.onnx")["joint_set"] == "coco"
    for length in range(0, len(whole), 97):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        try:
            assert read_metadata(tmp_path / "cut.onnx").get("joint_set", "coco") == "coco"
        except InputError as error:
            assert "not a readable ONNX model" in str(error)


def test_nothing_is_written_and_nobody_is_called(tmp_path: Path) -> None:
    """onnxruntime's telemetry keeps a device id in the user's cache, if one lets it."""
    code = (
        "import openhmr, numpy as np\n"
        "openhmr.load('pose2mesh')(np.random.default_rng(0).uniform(0, 500, (17, 2)))\n"
        "openhmr.load('i2l-body')(np.zeros((64, 64, 3), np.uint8), (0, 0, 60, 60))\n"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | home)
    assert list(tmp_path.rglob("*")) == []


def test_package_names() -> None:
    assert openhmr.__version__.count(".") == 2
    for name in openhmr.__all__:
        assert getattr(openhmr, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Lifterr'"):
        openhmr.Lifterr
    done = subprocess.run([sys.executable, "-m", "openhmr", "--version"], capture_output=True, text=True)
    assert done.stdout == f"openhmr {openhmr.__version__}\n"
