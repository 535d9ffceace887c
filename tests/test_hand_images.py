"""Rendered hands: what OpenGL draws, against the software rasteriser; scenes; whole runs. Drawing is skipped
without EGL."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.bodies.shipped import open_hand
from openhmr.bodies.skinning import skin
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.joints import MANO
from openhmr.lab.synth.hand_meshes import PLAIN, RINGS, Arm, SkinnedMesh, ball, band, box, cylinder
from openhmr.lab.synth.hand_renderer import SAMPLES, HandRenderer
from openhmr.lab.synth.hand_scene import BOX_SHARE, HandStage
from openhmr.lab.synth.hands import FEWEST_SEEN
from openhmr.lab.synth.light import read_places
from openhmr.lab.synth.scene import box_of
from openhmr.render.raster import rasterise
from tests.hand_shards import random_scene
from tests.tiny_humans import PLACE

SIZE = 128
SKIN = "some_diffuse"
FINE = np.array([[SAMPLES, 0, (SAMPLES - 1) / 2], [0, SAMPLES, (SAMPLES - 1) / 2], [0, 0, 1]])
"""From pixels to the samples of pixels."""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of one skin and one place, and a pack of poses."""
    root, rng = tmp_path_factory.mktemp("pack"), np.random.default_rng(0)
    for name in ("skins", "eyes", "places"):
        (root / name).mkdir()
    cv2.imwrite(str(root / "skins" / f"{SKIN}.jpg"), np.full((64, 64, 3), (120, 150, 200), np.uint8))
    cv2.imwrite(str(root / "places" / "room.jpg"), np.full((64, 128, 3), PLACE, np.uint8))
    light = np.full((32, 64, 3), 0.5, np.float16)
    light[4:6, 10:12] = 200
    np.savez(root / "places" / "light.npz", linear_room=light)
    np.savez(
        root / "hands.npz",
        dof_rad=rng.normal(0.2, 0.1, (40, 22)).astype(np.float32),
        weight=np.full(40, 1 / 40),
        letter=np.full(40, ""),
        source=np.full(40, "drawn"),
        skel_twist_rad=np.zeros(5),
        skel_thumb_frame=np.eye(3),
    )
    return root


@pytest.fixture(scope="module")
def renderer(pack: Path) -> HandRenderer:
    pytest.importorskip("moderngl")
    try:
        return HandRenderer(pack, SIZE)
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stage(pack: Path) -> HandStage:
    skins = {SKIN: np.full((8, 8, 4), 180, np.uint8)}
    return HandStage(skins, read_places(pack / "places", "train"), SIZE)


def test_silhouette_and_depth_equal_the_software_rasteriser(renderer: HandRenderer, pack: Path) -> None:
    place = read_places(pack / "places", "train")[0]
    mesh, rng = SkinnedMesh(open_hand(level="render")), np.random.default_rng(3)
    for _ in range(3):
        scene = random_scene(rng, SIZE)
        camera = scene.camera
        vertices = np.asarray(skin(mesh.body, scene.pose, scene.betas)[0]) + scene.translation
        piece = mesh.piece(vertices, SKIN, 1.0)
        _, cover, depth = renderer.draw([piece], scene.joints.mean(0), place, camera)
        both = np.concatenate([piece.faces, piece.faces[:, ::-1]])
        fragments = rasterise(piece.vertices, both, camera.K, (SIZE, SIZE))
        want = np.zeros(SIZE * SIZE, bool)
        want[fragments.pixel] = True
        got = cover.reshape(-1)
        assert want.sum() > 200
        # A pixel whose four samples all hit has its centre inside; one that no sample hits has not.
        assert (want & (got < 0.01)).sum() <= 4 and (~want & (got > 0.99)).sum() <= 4
        fine = rasterise(piece.vertices, both, FINE @ camera.K, (SAMPLES * SIZE, SAMPLES * SIZE))
        exact = np.full((SAMPLES * SIZE) ** 2, np.nan)
        exact[fine.pixel] = fine.depth
        gap = exact.reshape(SAMPLES * SIZE, -1)[::SAMPLES, ::SAMPLES] - depth
        # The depth buffer has 24 bits between 0.05 and 80 m.
        assert np.abs(gap[np.isfinite(gap)]).max() < 0.001


def test_scenes_are_annotated_exactly(stage: HandStage) -> None:
    """Parameters give the vertices, and these the joints; the hand that is drawn is the hand that is
    annotated; its box has the size that was asked for."""
    rng, hand, made = np.random.default_rng(1), open_hand(), 0
    while made < 6:
        pose = rng.normal(0, 0.2, (16, 3))
        scene = stage.scene(rng, [pose, pose])
        if scene is None:
            continue
        made += 1
        vertices = np.asarray(skin(hand, scene.pose, scene.betas)[0]) + scene.translation
        assert_allclose(vertices, scene.vertices, atol=1e-6)
        assert_allclose(hand.joint_regressor(MANO) @ vertices, scene.joints, atol=1e-6)
        fine = np.asarray(skin(stage.surface.body, scene.pose, scene.betas)[0]) + scene.translation
        assert_allclose(scene.pieces[0].vertices, fine[stage.surface.vertex], atol=1e-5)
        share = box_of(scene.camera.project(scene.joints))[2:].max() / SIZE
        assert BOX_SHARE[0] * 0.6 < share < BOX_SHARE[1] * 1.7
        for piece in scene.pieces:
            assert_allclose(np.linalg.norm(piece.normals, axis=1), 1, atol=1e-3)
            assert piece.faces.max() < len(piece.vertices) == len(piece.uv) == len(piece.colour)


@pytest.mark.parametrize(
    "piece",
    [cylinder(0.02, 0.1, PLAIN), ball([0.01, 0.02, 0.03], PLAIN), box([0.1, 0.2, 0.3], PLAIN)],
    ids=["cylinder", "ball", "box"],
)
def test_faces_and_normals_look_outwards(piece) -> None:
    middle = piece.vertices[piece.faces].mean(1)
    a, b, c = (piece.vertices[piece.faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    solid = np.linalg.norm(flat, axis=1) > 1e-12
    assert ((flat * middle).sum(1)[solid] > 0).all()
    # All volumes by the divergence theorem.
    assert (middle * flat).sum() / 6 > 0
    assert ((piece.normals * piece.vertices).sum(1) > -1e-9).all()


def test_an_arm_begins_at_the_hands_border() -> None:
    mesh = SkinnedMesh(open_hand(level="render"))
    vertices = mesh.body.v_template.astype(np.float64)
    outline = vertices[mesh.border]
    arm = Arm.bent(outline.mean(0), 0.6, -0.2)
    tube = arm.tube(outline - outline.mean(0), np.ones((RINGS, 1)), 0, PLAIN, np.ones((RINGS, 1, 3)))
    assert_allclose(tube.vertices[: len(outline)], outline, atol=1e-9)
    assert_allclose(tube.vertices[len(outline)], outline[0], atol=1e-9)
    # Bent by as much as was asked for, and nowhere thinner than at the wrist.
    assert_allclose(np.trace(arm.turns[-1]), 1 + 2 * np.cos(np.hypot(0.6, 0.2)), atol=1e-6)
    assert len(band(0.01, 0.004, 0.001, PLAIN).faces) == 3 * 24 * 2


def test_runs_repeat_and_refuse(
    renderer: HandRenderer, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def arguments(out: str, **changes: str) -> list[str]:
        given = {"hands": pack / "hands.npz", "humans": pack, "backgrounds": pack / "places"} | changes
        named = [text for name, value in given.items() for text in (f"--{name}", str(value))]
        return ["lab", "synth", "hand-images", *named, "--out", str(tmp_path / out), "--size", str(SIZE)]

    made = []
    for name in ("a", "b"):
        assert main([*arguments(name), "--count", "4", "--sheet", str(tmp_path / "sheet.png")]) == 0
        made.append((tmp_path / name / "images-00000.tar").read_bytes())
    assert made[0] == made[1], "the same seed gives the same pictures"
    with np.load(tmp_path / "a/images-00000.npz") as arrays:
        assert arrays["pose"].shape == (4, 16, 3) and arrays["right"].dtype == bool
        assert (arrays["visible"].sum(1) >= FEWEST_SEEN).all() and (arrays["translation"][:, 2] > 0.1).all()
    capsys.readouterr()
    for changes, cause in (
        ({"backgrounds": str(pack / "nowhere")}, "is no folder"),
        ({"hands": str(pack / "places/light.npz")}, "give a pack of hand poses"),
        ({"split": "test"}, "has no skins for the split test"),
    ):
        assert main([*arguments("c", **changes), "--count", "1"]) == 2
        assert cause in capsys.readouterr().err
