"""The page's numbers against Python's: the same poses and pictures under node, by the same engine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from openhmr import load
from openhmr.bodies import open_body, skin
from openhmr.camera import Camera
from openhmr.io.poses import check_pose2d
from openhmr.joints import BODY25, COCO, JOINT_SETS, MEDIAPIPE33, JointSet, has_points
from openhmr.keypoints import Keypoints
from openhmr.models import available
from openhmr.people import People
from openhmr.predict.body_fit import with_rig
from openhmr.predict.person_crop import cut
from openhmr.predict.upright import LYING, upright_rolls
from openhmr.render.suit import suit_of
from openhmr.serve.body_file import body_file
from openhmr.serve.site import cuts_file

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "web"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(
    NODE is None or not (PAGE / "node_modules" / "onnxruntime-web").is_dir(),
    reason="node or web/node_modules is missing; `make web` installs what the page needs",
)

SIZE = (720, 1280)
BODY = open_body()

NEARLY_LYING = 0.9 * LYING


@dataclass(frozen=True)
class Pose:
    joint_set: JointSet
    points: NDArray[np.float32]


def random_poses(count: int) -> Iterator[Pose]:
    """Poses of random bodies in every way that files have them: noise, missing joints, low confidences.

    Nobody lies: those poses are turned upright here, and not yet on the page.
    """
    rng, camera = np.random.default_rng(5), Camera.assumed(SIZE)
    sets, i = (COCO, COCO, BODY25, MEDIAPIPE33), 0
    while i < count:
        pose = rng.normal(0, 0.4, (24, 3)).astype(np.float32)
        pose[0] = np.array([np.pi, 0, 0]) + rng.normal(0, 0.5, 3)
        vertices, _ = skin(BODY, pose, rng.normal(0, 1, BODY.num_betas).astype(np.float32))
        vertices = vertices + rng.normal(0, (0.5, 0.3, 0.5), 3).clip(-1, 1) + (0, 0, 4.5)
        joint_set = sets[i % len(sets)]
        pixels = camera.project(BODY.joint_regressor(joint_set) @ vertices)[: len(joint_set.base)]
        pixels = pixels + rng.normal(0, 4, pixels.shape)
        seen = rng.uniform(0.2, 0.8 if i % 7 == 0 else 1, len(pixels))
        points = np.concatenate([pixels, seen[:, None]], 1).astype(np.float32)
        points[rng.random(len(points)) < 0.1] = 0
        if upright_rolls(points[None], joint_set, NEARLY_LYING).any():
            continue
        i += 1
        yield Pose(joint_set, points)


def pictures() -> dict[str, NDArray[np.uint8]]:
    """One person, and two of them far apart in a large picture, so that crops are averaged down."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from photo import rendered_photo
    finally:
        sys.path.pop(0)
    one = rendered_photo()
    large = np.asarray(Image.fromarray(one).resize((1080, 1440), Image.Resampling.BICUBIC))
    return {"one": one, "two": np.concatenate([large, large[:, ::-1]], 1)}


def run_node(folder: Path, cases: dict[str, object]) -> None:
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "body.bin").write_bytes(body_file(BODY))
    (folder / "plain.json").write_bytes(cuts_file(available()["i2l-body"]))
    script = PAGE / "test" / "parity.mjs"
    done = subprocess.run([str(NODE), str(script), str(folder)], capture_output=True, text=True, cwd=PAGE)
    assert done.returncode == 0, done.stderr


def floats(path: Path) -> NDArray[np.float32]:
    return np.fromfile(path, np.float32)


def test_lifts_equal_pythons(tmp_path: Path) -> None:
    """Float32 sums in another order: a micrometre is as good as they agree, five are the bar."""
    poses = list(random_poses(200))
    lifter, camera, count = load("pose2mesh"), Camera.assumed(SIZE), 3 * BODY.num_vertices
    cases = [
        {
            "name": f"lift{i}",
            "set": pose.joint_set.name,
            "width": SIZE[1],
            "height": SIZE[0],
            "pose": pose.points.ravel().tolist(),
        }
        for i, pose in enumerate(poses)
    ]
    run_node(tmp_path, {"weights": str(available()["pose2mesh"].parent), "lift": cases, "pictures": []})
    for i, pose in enumerate(poses):
        keypoints = Keypoints(pose.joint_set, check_pose2d(pose.points, pose.joint_set))
        people = with_rig(lifter(keypoints, camera, order_known=True))
        assert people.sigma is not None and people.rig is not None
        found = np.split(floats(tmp_path / f"lift{i}.f32"), [count, 2 * count, 3 * count])
        for got, wanted, bar in (
            (found[0], people.vertices, 5e-6),
            (found[1], people.sigma.vertices, 1e-6),
            # Gauss-Newton in float32 there, in float64 here.
            (found[2], people.parametric().vertices, 5e-5),
            (found[3], people.rig.betas, 1e-3),
        ):
            np.testing.assert_allclose(got.reshape(wanted.shape), wanted, atol=bar, rtol=0)


@pytest.mark.parametrize("fast", [False, True])
def test_people_in_pictures_equal_pythons(tmp_path: Path, fast: bool) -> None:
    """The detector's boxes to a fiftieth of their size; in one box the meshes to a tenth of a millimetre."""
    recoverer, cases, wanted = load("i2l-body", mirrored=not fast), list[object](), dict[str, People]()
    for name, image in pictures().items():
        opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
        (tmp_path / f"{name}.rgba").write_bytes(np.concatenate([image, opaque], 2).tobytes())
        wanted[name] = recoverer(image)
        boxes = wanted[name].keypoints.boxes
        assert boxes is not None
        size = {"width": image.shape[1], "height": image.shape[0]}
        cases.append({"name": name, **size, "fast": fast, "boxes": boxes.tolist()})
    run_node(tmp_path, {"weights": str(available()["i2l-body"].parent), "lift": [], "pictures": cases})
    for name, people in wanted.items():
        count, vertices = len(people), people.vertices.shape[1:]
        finds, rest = np.split(floats(tmp_path / f"{name}.f32"), [56 * count])
        finds = finds.reshape(count, 56)
        assert people.keypoints.boxes is not None and people.keypoints.scores is not None
        # Python's detector looks at turned pictures, too, and takes whichever look is best.
        boxes = people.keypoints.boxes
        left, other = np.argsort(boxes[:, 0]), np.argsort(finds[:, 51])  # mirror images are seen equally well
        assert np.abs(finds[other, 51:55] - boxes[left]).max() < 0.02 * boxes[:, 2:].max()
        np.testing.assert_allclose(finds[other, 55], people.keypoints.scores[left], atol=0.05, rtol=0)
        mesh, pose, sigma = np.split(rest.reshape(count, -1), [np.prod(vertices), np.prod(vertices) + 57], 1)
        assert people.sigma is not None
        np.testing.assert_allclose(mesh.reshape(people.vertices.shape), people.vertices, atol=1e-4, rtol=0)
        np.testing.assert_allclose(pose.reshape(count, 19, 3), people.keypoints.points, atol=0.05, rtol=0)
        np.testing.assert_allclose(
            sigma.reshape(people.vertices.shape), people.sigma.vertices, atol=1e-4, rtol=0
        )


def test_crops_and_cloth_equal_pythons(tmp_path: Path) -> None:
    """Crops to a level of 255 in single pixels, whose rounding differs between builds of OpenCV; what is
    drawn to a hundredth of a millimetre."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 256, (90, 125, 3), np.uint8), 8, 0), 8, 1)
    squares = [(300, 300, 256), (310.3, 333.7, 200.1), (30, 20, 520), (499.5, 359.5, 1000), (900, 700, 700.3)]
    opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
    (tmp_path / "crops.rgba").write_bytes(np.concatenate([image, opaque], 2).tobytes())
    pose = rng.normal(0, 0.4, (24, 3)).astype(np.float32)
    vertices, _ = skin(BODY, pose, np.zeros(BODY.num_betas, np.float32))
    vertices.astype(np.float32).tofile(tmp_path / "bare.f32")
    size = {"width": image.shape[1], "height": image.shape[0]}
    run_node(tmp_path, {"lift": [], "pictures": [], "crops": {**size, "squares": squares}, "dress": True})
    wanted = cut(image, np.array(squares, float))
    found = floats(tmp_path / "crops.f32").reshape(wanted.shape)
    assert np.abs(found - wanted).max() < 1.01 / 255 and np.mean(np.abs(found - wanted) > 1e-6) < 1e-3
    shown, normals = suit_of(BODY).shape(vertices)
    got = floats(tmp_path / "dressed.f32").reshape(2, -1, 3)
    np.testing.assert_allclose(got[0], shown, atol=2e-5, rtol=0)
    assert np.einsum("vc,vc->v", got[1], normals).min() > 0.9999


def test_the_body_file_holds_every_joint_set_of_the_body() -> None:
    """Its header names each with its points; arrays lie where it says."""
    data = body_file(BODY)
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    assert set(header["joint_sets"]) == {s.name for s in JOINT_SETS.values() if has_points(s)}
    assert header["joint_sets"]["coco"]["derived"] == [[17, [11, 12]], [18, [5, 6]]]
    kind, shape, offset = header["arrays"]["v_template"]
    start = -(-(4 + length) // 8) * 8 + offset
    template = np.frombuffer(data, kind, BODY.v_template.size, start).reshape(shape)
    np.testing.assert_array_equal(template, BODY.v_template)
