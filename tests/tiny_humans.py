"""A humans pack, panoramas and a wardrobe made of nothing but the open body: pictures without any asset."""

from pathlib import Path

import cv2
import numpy as np

from openhmr.bodies.shipped import open_body
from openhmr.lab.synth.wardrobe import Item, Wardrobe, make_item, skin_item, vertex_normals

SUIT_M = 0.01
GREEN, RED = (20, 200, 20), (200, 20, 20)
PLACE = (90, 90, 110)


def piece(kept: np.ndarray, hides: np.ndarray, inflate: float) -> Item:
    """The faces of the closed level whose vertices are ``kept``, moved outwards."""
    body = open_body()
    shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2)
    shape[..., 0] += inflate * vertex_normals(body.v_template, body.faces)
    ids = np.flatnonzero(kept)
    renumber = np.full(len(kept), -1)
    renumber[ids] = np.arange(len(ids))
    faces = renumber[body.faces]
    faces = faces[(faces >= 0).all(1)]
    uv = np.random.default_rng(0).random((len(ids), 2))
    return make_item(shape[ids], body.weights[ids], faces, uv, faces, hides, -0.2)


def tiny_wardrobe() -> Wardrobe:
    """A suit over everything but head, hands and feet; shoes over the feet; patches for hair, brows, lashes
    and eyes."""
    render, body = open_body("render"), open_body()
    skin, _ = skin_item(render, np.ones(render.num_vertices, bool))
    joint = body.weights.argmax(1)
    feet, head = np.isin(joint, [7, 8, 10, 11]), np.isin(joint, [12, 15])
    suit = ~feet & ~head & ~np.isin(joint, [20, 21, 22, 23])
    skin_joint = np.take_along_axis(skin.joints, skin.weights.argmax(1)[:, None], 1)[:, 0]
    covered = np.flatnonzero(~np.isin(skin_joint, [12, 15, 20, 21, 22, 23]))
    scalp = head & (body.v_template[:, 1] > np.percentile(body.v_template[head, 1], 70))
    none = np.zeros(0)
    patch = piece(scalp, none, 0.004)
    names = ("hair/short01", "brows/eyebrow001", "brows/eyelashes01", "eyes/low-poly")
    items = {name: patch for name in names}
    items["garments/male_casualsuit01"] = piece(suit, covered, SUIT_M)
    items["garments/shoes01"] = piece(feet, none, SUIT_M)
    return Wardrobe(skin, items, np.zeros(11, np.float32))


def write_pack(root: Path) -> tuple[Path, Path, Path]:
    """Folders of humans and backgrounds and a wardrobe file beneath ``root``."""
    humans, places = root / "humans", root / "places"
    for folder in ("skins", "eyes", "garments", "hair", "brows"):
        (humans / folder).mkdir(parents=True)
    places.mkdir()

    def plain(colour, *shape):
        return np.full((*shape, 3), colour[::-1], np.uint8)

    for name in ("skins/some_male_diffuse.jpg", "garments/shoes01_diffuse.jpg"):
        cv2.imwrite(str(humans / name), plain(RED, 64, 64))
    cv2.imwrite(str(humans / "garments/male_casualsuit01_diffuse.jpg"), plain(GREEN, 64, 64))
    for name in (
        "eyes/brown_eye.png",
        "hair/short01_diffuse.png",
        "brows/eyebrow001_diffuse.png",
        "brows/eyelashes01_diffuse.png",
    ):
        cv2.imwrite(str(humans / name), np.dstack([plain(RED, 64, 64), np.full((64, 64), 255, np.uint8)]))
    cv2.imwrite(str(places / "room.jpg"), plain(PLACE, 64, 128))
    light = np.full((32, 64, 3), 0.5, np.float16)
    light[4:6, 10:12] = 200
    np.savez(places / "light.npz", linear_room=light)
    wardrobe = root / "wardrobe.npz"
    tiny_wardrobe().save(wardrobe)
    return humans, places, wardrobe
