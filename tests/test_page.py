"""The page in a real Chromium: what hands, keys and files do, against Python; nothing leaves its origin."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from openhmr import load
from openhmr.bodies import open_body, skin
from openhmr.bodies.skinning import posed_joints
from openhmr.camera import Camera
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO, JOINT_SETS, SMPL
from openhmr.keypoints import Keypoints
from openhmr.lab.synth.bvh_file import read_bvh, world
from openhmr.people import People
from openhmr.predict.body_fit import with_rig
from openhmr.serve.export import export_folder, export_single
from openhmr.serve.server import page_server
from openhmr.serve.site import site_files

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "web"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def missing() -> str | None:
    if NODE is None or not (PAGE / "node_modules" / "playwright-core").is_dir():
        return "node or web/node_modules is missing; `make web` installs what the page needs"
    if CHROMIUM is None:
        return "Chromium is missing; Debian's package is `chromium`"
    return None


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
V = open_body().num_vertices


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with page_server(site_files()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def visit(url: str, folder: Path, *steps: str, **plan: Any) -> dict[str, Any]:
    """What a visitor of the page saw who took these ``steps`` of web/test/page.mjs."""
    path = folder / "plan.json"
    path.write_text(
        json.dumps(
            {"url": url, "folder": str(folder), "steps": steps, "chromium": CHROMIUM, **plan}, default=str
        )
    )
    command = [str(NODE), str(PAGE / "test" / "page.mjs"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PAGE)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    assert not seen["errors"]
    return seen


def mesh(person: dict[str, Any]) -> NDArray[np.float64]:
    return np.array(person["vertices"]).reshape(V, 3)


def lifted(person: dict[str, Any], size: tuple[int, int]) -> People:
    """What Python makes of the pose that the page shows."""
    joint_set = JOINT_SETS[person["set"]]
    points = np.array(person["points"], np.float32).reshape(-1, 3)
    keypoints = Keypoints(joint_set, check_pose2d(points, joint_set))
    return load("pose2mesh")(keypoints, Camera.assumed(size), order_known=True)


def test_a_pose_is_dragged_saved_and_linked(address: str, tmp_path: Path) -> None:
    seen = visit(
        address, tmp_path, "drag", "keys", "link", "save", "axe", "screens", "shape", "poses",
        poses=ROOT / "examples" / "three_people.json", people=3,
    )  # fmt: skip
    assert seen["isolated"]
    assert all(url.startswith((address, "data:", "blob:")) for url in seen["requests"])

    wrist = COCO.names.index("R_Wrist")
    before, after = (seen["drag"][key][0] for key in ("before", "after"))
    moved = np.reshape(after["points"], (-1, 3)) - np.reshape(before["points"], (-1, 3))
    assert moved[wrist, 1] < -50 and not moved[np.arange(19) != wrist].any()
    np.testing.assert_allclose(mesh(after), lifted(after, (640, 640)).vertices[0], atol=5e-6, rtol=0)
    joints = [open_body().joint_regressor(COCO)[wrist] @ mesh(p) for p in (before, after)]
    assert (joints[1] - joints[0])[1] < -0.1  # up by more than 10 cm

    ankle = COCO.names.index("L_Ankle")
    pressed, undone = (np.reshape(seen["keys"][key][0]["points"], (-1, 3)) for key in ("after", "undone"))
    assert pressed[ankle, 0] > undone[ankle, 0] and pressed[ankle, 1] < undone[ankle, 1]
    np.testing.assert_array_equal(undone, np.reshape(seen["keys"]["before"][0]["points"], (-1, 3)))
    np.testing.assert_allclose(mesh(seen["keys"]["undone"][0]), mesh(after), atol=1e-6)

    shared, linked = (np.reshape(seen["link"][key][0]["points"], (-1, 3)) for key in ("before", "after"))
    assert np.abs(shared - linked).max() <= 0.51  # whole pixels
    tall, usual = (np.ptp(mesh(seen["shape"][key][0])[:, 1]) for key in ("after", "before"))
    assert tall > usual + 0.05
    for person in seen["poses"]["after"]:
        assert person["vertices"] is not None

    assert not [v for v in seen["axe"] if v["impact"] in ("serious", "critical")], seen["axe"]
    assert seen["screens"]["wide"] <= 0
    check_files(tmp_path, seen["save"]["after"][0])


def check_files(folder: Path, person: dict[str, Any]) -> None:
    """The saved files by independent readers: metres, y up."""
    up = mesh(person) * (1, -1, -1)
    lines = (folder / "body.obj").read_text().splitlines()
    points = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    faces = np.array([line.split()[1:] for line in lines if line.startswith("f ")], int) - 1
    np.testing.assert_allclose(points, up, atol=1e-5)
    np.testing.assert_array_equal(faces, open_body().faces)
    data = (folder / "body.glb").read_bytes()
    size = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + size])
    assert data[:4] == b"glTF" and int.from_bytes(data[8:12], "little") == len(data)
    position = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    view = document["bufferViews"][position["bufferView"]]
    stored = np.frombuffer(data, "<f4", 3 * position["count"], 28 + size + view["byteOffset"]).reshape(-1, 3)
    # What is drawn: cloth and shoes lie within centimetres of the body.
    assert position["count"] == V and np.abs(stored - up).max() < 0.05
    np.testing.assert_allclose(position["max"], stored.max(0), atol=1e-6)
    clip = read_bvh(folder / "body.bvh")
    turns, rest = world(clip)
    joints = posed_joints(turns[0], rest, clip.parents) - rest[0] + clip.root[0]
    people = with_rig(lifted(person, (640, 640)))
    assert people.rig is not None
    _, wanted = skin(people.body, people.rig.pose, people.rig.betas, people.rig.translation)
    order = [SMPL.names.index(name) for name in clip.names]
    np.testing.assert_allclose(joints, wanted[0][order] * (100, -100, -100), atol=0.02)
    with Image.open(folder / "body.png") as picture:
        assert min(picture.size) > 100 and np.ptp(np.asarray(picture)[..., 3]) == 255


def test_a_photo_and_a_webcam(address: str, tmp_path: Path) -> None:
    """The same mesh as Python's within 0.1 mm; a film of the same person through a fake camera."""
    image = rendered()
    Image.fromarray(image).save(tmp_path / "person.png")
    write_y4m(tmp_path / "film.y4m", image)
    seen = visit(
        address, tmp_path, "photo", "film", photo=tmp_path / "person.png", film=tmp_path / "film.y4m"
    )
    people = load("i2l-body")(image, np.array(seen["photo"]["boxes"]))
    assert len(people) == 1
    np.testing.assert_allclose(mesh(seen["photo"]["after"][0]), people.vertices[0], atol=1e-4, rtol=0)
    assert seen["film"]["frames"] >= 3
    upright = mesh(seen["film"]["after"][0])
    assert 1.2 < np.ptp(upright[:, 1]) < 2.2
    assert all(url.startswith((address, "data:", "blob:")) for url in seen["requests"])


def test_the_folder_and_the_single_file(tmp_path: Path) -> None:
    """A host that sets no headers, and the disk: both lift."""
    export_folder(tmp_path / "page")
    handler = partial(QuietHandler, directory=str(tmp_path / "page"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        seen = visit(f"http://127.0.0.1:{server.server_port}/", tmp_path)
        server.shutdown()
        thread.join()
    wanted = lifted(seen["first"][0], (640, 640)).vertices[0]
    np.testing.assert_allclose(mesh(seen["first"][0]), wanted, atol=5e-6, rtol=0)
    single = export_single(tmp_path / "lift.html")
    seen = visit(single.as_uri(), tmp_path, "keys")
    np.testing.assert_allclose(mesh(seen["first"][0]), wanted, atol=5e-6, rtol=0)
    assert all(url.startswith((single.as_uri(), "data:", "blob:")) for url in seen["requests"])


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def rendered() -> NDArray[np.uint8]:
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from photo import rendered_photo
    finally:
        sys.path.pop(0)
    return rendered_photo()


def write_y4m(path: Path, image: NDArray[np.uint8]) -> None:
    """A film of 640 x 480, as Chromium's fake camera takes it."""
    small = cv2.resize(image, (360, 480), interpolation=cv2.INTER_AREA)
    frame = np.full((480, 640, 3), 190, np.uint8)
    frame[:, 140:500] = small
    planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes()
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n")
        for _ in range(10):
            file.write(b"FRAME\n" + planes)
