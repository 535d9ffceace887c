"""Light, clothes, framing, annotation and shards of synthetic pictures, without a renderer."""

import colorsys
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.lab.synth import degrade, images, light, production, shards
from openhmr.lab.synth.images import annotate, curl_fingers
from openhmr.lab.synth.outfits import (
    DECENT_SUITS,
    MASCULINE_HAIR,
    TEST_ONLY,
    VALIDATION_ONLY,
    Closet,
    random_colour,
)
from openhmr.lab.synth.scene import Figure, Scene, box_of, frame_person, plausible, stand
from openhmr.lab.synth.wardrobe import Item, Wardrobe, fit_item, make_item

from .tiny_humans import tiny_wardrobe, write_pack


@pytest.fixture(scope="module")
def figure() -> Figure:
    return Figure(open_body())


def random_person(figure: Figure, rng: np.random.Generator, outfit=None):
    rotations = axis_angle_to_matrix(rng.normal(size=(24, 3)) * 0.25).astype(np.float32)
    betas = rng.normal(size=10).clip(-2, 2).astype(np.float32)
    return stand(figure, rotations, betas, outfit, rng.uniform(0, 6), 0.0)


def test_harmonics_are_the_reflected_light() -> None:
    """Against the cosine-weighted integral over the panorama, for light that second-order harmonics hold
    exactly."""
    directions, solid = light.grid_directions(32, 64)
    assert abs(solid.sum() - 4 * np.pi) < 0.01
    x, y, z = np.moveaxis(directions, -1, 0)
    radiance = np.stack([1 + 0.5 * y, 1 + 0.3 * x - 0.2 * z, 1 + 0.2 * x * y], -1)
    harmonics, direction, key = light.analyse(radiance)
    normals = np.random.default_rng(0).normal(size=(20, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    got = light.harmonic_basis(normals) @ harmonics + np.maximum(normals @ direction, 0)[:, None] * key
    cells = [(radiance[i, j] * solid[i, j] / np.pi, directions[i, j]) for i in range(32) for j in range(64)]
    slow = [sum(power * max(0.0, d @ n) for power, d in cells) for n in normals]
    assert np.abs(got - slow).max() < 0.01


def test_key_light_is_found() -> None:
    linear = np.full((32, 64, 3), 0.4)
    linear[7, 20] = [900, 800, 700]
    harmonics, direction, key = light.analyse(linear)
    directions, solid = light.grid_directions(32, 64)
    assert direction @ directions[7, 20] > 0.9999
    assert np.allclose(key, (linear[7, 20] - 0.4) * solid[7, 20] / np.pi)
    assert np.allclose(light.harmonic_basis(np.eye(3)) @ harmonics, 0.4, atol=0.01)


def test_grey_looks_as_bright_as_the_place() -> None:
    panorama = np.full((64, 128, 3), 120, np.uint8)
    place = light.make_place("x", panorama, np.full((32, 64, 3), 7.0))
    shown = light.GREY * light.harmonic_basis(np.array([1.0, 0, 0])) @ place.harmonics
    assert np.allclose(shown, (120 / 255) ** 2.2, rtol=0.02)


def test_fit_equals_the_formula_written_out() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(2, 30, 3)).astype(np.float32)
    pack = {
        "ref_idx": rng.integers(0, 30, (5, 3)).astype(np.uint16),
        "ref_w": rng.normal(size=(5, 3)),
        "offset": rng.normal(size=(5, 3)),
        "scale_ref": rng.integers(0, 30, (3, 2)),
        "scale_den": rng.uniform(1, 2, 3),
    }
    got = fit_item(pack, base)
    for p in range(2):
        for n in range(5):
            for k in range(3):
                a, b = pack["scale_ref"][k]
                scale = abs(base[p, a, k] * 10 - base[p, b, k] * 10) / pack["scale_den"][k]
                want = (
                    sum(pack["ref_w"][n, j] * base[p, pack["ref_idx"][n, j], k] for j in range(3))
                    + pack["offset"][n, k] * scale / 10
                )
                assert abs(got[p, n, k] - want) < 1e-5


def test_seams_are_split_and_trousers_told_from_shirts() -> None:
    shape = np.zeros((6, 3, 11))
    shape[:3, 1, 0], shape[3:, 1, 0] = [0.1, 0.2, 0.3], [-0.1, -0.4, -0.8]
    shape[:, 0, 0] = [0, 1, 0, 0, 1, 0]
    faces, face_uv = np.array([[0, 1, 2], [3, 4, 5], [3, 5, 4]]), np.array([[0, 1, 2], [3, 4, 5], [6, 7, 4]])
    item = make_item(
        shape,
        np.eye(24)[[0, 0, 0, 1, 1, 1]],
        faces,
        np.random.default_rng(0).random((8, 2)),
        face_uv,
        np.arange(2),
        0.0,
    )
    assert len(item.uv) == len({(v, t) for v, t in zip(faces.reshape(-1), face_uv.reshape(-1), strict=True)})
    assert np.allclose(item.shape[item.faces].reshape(-1, 3, 11), shape[faces].reshape(-1, 3, 11))
    assert set(item.upper[item.faces[0]]) == {1.0} and set(item.upper[item.faces[1]]) == {0.0}
    assert np.allclose(item.weights.sum(1), 1)


def test_wardrobe_survives_the_disk(tmp_path: Path) -> None:
    wardrobe = tiny_wardrobe()
    wardrobe.save(tmp_path / "w.npz")
    again = Wardrobe.load(tmp_path / "w.npz")
    assert sorted(again.items) == sorted(wardrobe.items)
    betas = np.random.default_rng(0).normal(size=10)
    for name, item in wardrobe.items.items():
        assert np.array_equal(again.items[name].rest(betas), item.rest(betas))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="not a wardrobe of the open body"):
        Wardrobe.load(tmp_path / "other.npz")


def whole_closet(split: str) -> Closet:
    item = tiny_wardrobe().items["hair/short01"]
    names = [
        f"garments/{s}"
        for s in (*DECENT_SUITS, "female_sportsuit01", "fedora", *(f"shoes0{k}" for k in range(1, 7)))
    ]
    names += [f"hair/{h}" for h in (*MASCULINE_HAIR, "bob02", "long01")]
    names += [f"brows/{b}" for b in ("eyebrow001", "eyebrow004", "eyelashes01")]
    items: dict[str, Item] = {n: item for n in names}
    skins = [
        "a_male_diffuse",
        "a_female_diffuse",
        "young_caucasian_female_special_suit",
        "young_lightskinned_male_diffuse3",
    ]
    return Closet(
        Wardrobe(item, items, np.ones(11, np.float32)), {"skins": skins, "eyes": ["brown_eye"]}, split
    )


@pytest.mark.parametrize("split", ("train", "validation", "test"))
def test_everybody_is_clothed_and_splits_share_nothing_held_out(split: str) -> None:
    closet, rng = whole_closet(split), np.random.default_rng(2)
    outfits = [closet.dress(rng, rng.normal(size=10)) for _ in range(400)]
    assert {o.suit for o in outfits} <= set(DECENT_SUITS) and all(
        o.shoes.startswith("shoes") for o in outfits
    )
    used = {n for o in outfits for n in (o.suit, o.shoes, o.hair, o.skin, *o.brows)}
    if split == "train":
        assert not used & (TEST_ONLY | VALIDATION_ONLY)
    elif split == "validation":
        assert not used & TEST_ONLY and used & VALIDATION_ONLY
    else:
        held = [bool({o.suit, o.shoes, o.hair, o.skin, *o.brows} & TEST_ONLY) for o in outfits]
        assert np.mean(held) > 0.8
    assert all(o.leg > 0.3 and o.sleeve > 0.2 for o in outfits), (
        "cloth may not be cut off near hips and chest"
    )


def test_no_cloth_has_the_colour_of_skin() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        hue, saturation, value = colorsys.rgb_to_hsv(*np.minimum(random_colour(rng) ** (1 / 2.2), 1))
        assert not (0.01 < hue < 0.11 and 0.15 < saturation < 0.8 and value > 0.25)


def test_figure_is_the_body(figure: Figure) -> None:
    rng = np.random.default_rng(3)
    pose, betas = rng.normal(size=(24, 3)) * 0.5, rng.normal(size=10)
    transforms, joints = figure.transforms(axis_angle_to_matrix(pose), betas)
    vertices, want = skin(open_body(), pose, betas)
    assert (
        np.abs(figure.vertices(transforms, betas) - vertices).max() < 1e-5
        and np.abs(joints - want).max() < 1e-5
    )


def test_people_stand_on_the_ground_inside_the_picture(figure: Figure) -> None:
    rng, sides, inside = np.random.default_rng(4), [], []
    people = [random_person(figure, rng) for _ in range(20)]
    for person in people * 15:
        assert abs(person.vertices[:, 1].min()) < 1e-5
        camera = frame_person(rng, person.vertices, 320)
        assert (
            np.allclose(camera.R @ camera.R.T, np.eye(3))
            and np.linalg.det(camera.R) > 0
            and camera.centre[1] > 0.1
        )
        box = box_of(camera.project(camera.see(person.vertices)))
        sides.append(box[2:].max())
        inside.append((box[:2] > 0).all() and (box[:2] + box[2:] < 320).all())
    assert min(sides) > 130 and max(sides) < 340 and np.median(sides) < 240 and 0.7 < np.mean(inside) < 0.97


def test_annotation_gives_back_the_mesh(figure: Figure) -> None:
    """The recorded pose, betas and translation skin to the mesh in camera axes; joints and box are its
    projection."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        person = random_person(figure, rng)
        person.move(np.array([0.3, 0.1, -0.2], np.float32))
        camera = frame_person(rng, person.vertices, 320)
        row = annotate(figure, Scene([person], camera))
        vertices = skin(open_body(), row["pose"], row["betas"])[0] + row["translation"]
        assert np.abs(vertices - camera.see(person.vertices)).max() < 2e-4
        projected = vertices @ row["K"].T
        projected = projected[:, :2] / projected[:, 2:]
        assert np.abs(box_of(projected) - row["box_xywh"]).max() < 0.1
        joints = figure.coco_joints(vertices)
        assert np.abs(joints - row["joints_cam"]).max() < 2e-4
        assert np.abs((joints @ row["K"].T)[:, :2] / joints[:, 2:] - row["joints_px"]).max() < 0.1


def test_fingers_bend_towards_the_palm(figure: Figure) -> None:
    rest = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    flat, _ = figure.transforms(rest, np.zeros(10))
    bent, _ = figure.transforms(curl_fingers(np.random.default_rng(0), rest), np.zeros(10))
    moved = figure.vertices(bent, np.zeros(10)) - figure.vertices(flat, np.zeros(10))
    tips = np.abs(open_body().v_template[:, 0]) > np.abs(open_body().v_template[:, 0]).max() - 0.02
    assert moved[tips, 1].max() < 0, "palms look down in the T-pose"


def test_hands_in_the_trunk_are_refused(figure: Figure) -> None:
    rest = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    joints = figure.transforms(rest, np.zeros(10))[1]
    assert plausible(joints)
    joints[20] = (joints[3] + joints[6]) / 2
    assert not plausible(joints)


def test_degradation_keeps_the_picture_valid_and_repeats() -> None:
    place = light.make_place(
        "x", np.random.default_rng(0).integers(0, 255, (256, 512, 3), dtype=np.uint8), np.ones((32, 64, 3))
    )
    for seed in range(12):
        twice = []
        for _ in range(2):
            rng, image = np.random.default_rng(seed), np.full((96, 96, 3), 100, np.float32)
            degrade.clutter(rng, image, [place])
            before = image.copy()
            cover = degrade.occlude(rng, image, [place], np.array([20.0, 10, 40, 80]))
            assert cover.shape == (96, 96) and cover.min() >= 0 and cover.max() <= 1
            assert np.array_equal(image[cover == 0], before[cover == 0]), (
                "an occluder changes only what it covers"
            )
            twice.append(degrade.photograph(rng, image))
        assert np.array_equal(*twice) and twice[0].dtype == np.uint8 and twice[0].shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("lacking", "said"),
    [("skins", "has no skins/"), ("light", "has no light.npz"), ("motion", "motion.npz does not exist")],
)
def test_inputs_are_checked_before_clothes_are_fitted(tmp_path: Path, lacking: str, said: str) -> None:
    humans, places, wardrobe = write_pack(tmp_path)
    wardrobe.unlink()
    if lacking == "skins":
        shutil.rmtree(humans / "skins")
    if lacking == "light":
        (places / "light.npz").unlink()
    motion, out = tmp_path / "motion.npz", tmp_path / "out"
    reports: list[str] = []
    with pytest.raises(InputError, match=said):
        production.generate(
            images.Task(motion, humans, places, wardrobe, out, 1, "train", 1, 64), 1, reports.append
        )
    assert not reports and not out.exists(), "no clothes were fitted"


def test_shards_repeat_to_the_byte_and_are_listed(tmp_path: Path) -> None:
    import cv2

    rows: list[shards.Row] = [
        {
            "box_xywh": np.array([1.0, 2, 30, 40]),
            "joints_px": np.tile([[10.0 + i, 20]], (19, 1)),
            "visible": np.arange(19) % 2 == 0,
        }
        for i in range(3)
    ]
    rows[2]["joints_px"] = np.full((19, 2), -5.0)
    pictures = [cv2.imencode(".jpg", np.full((64, 64, 3), 40 * i, np.uint8))[1].tobytes() for i in range(3)]
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        shards.write_shard(folder, 0, 0, pictures, rows, open_body())
    assert (tmp_path / "a/images-00000.tar").read_bytes() == (tmp_path / "b/images-00000.tar").read_bytes()
    assert shards.length(tmp_path / "a", 0) == 3 and shards.length(tmp_path / "a", 1) == 0
    assert shards.write_annotations(tmp_path / "a", 64) == 3
    listed = json.loads((tmp_path / "a/annotations.json").read_text())
    keypoints = np.array([a["keypoints"] for a in listed["annotations"]]).reshape(3, 17, 3)
    assert keypoints[0, :, 2].tolist() == [2, 1] * 8 + [2] and not keypoints[2].any()
    assert (
        listed["images"][1]["file_name"] == "images-00000.tar/00000001.jpg"
        and len(listed["categories"][0]["keypoints"]) == 17
    )
    assert [p.mean().round() for p in shards.read_pictures(tmp_path / "a/images-00000.tar", 2)] == [0, 40]
