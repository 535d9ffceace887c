"""What OpenGL draws, against the software rasteriser; whole runs on assets made of the open body. Skipped
without EGL."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.lab.cli import main
from openhmr.lab.synth.images import Task
from openhmr.lab.synth.light import read_places
from openhmr.lab.synth.outfits import Closet, Outfit
from openhmr.lab.synth.production import generate
from openhmr.lab.synth.renderer import SAMPLES, SUIT_BIAS_M, Renderer
from openhmr.lab.synth.scene import Person, frame_person, stand
from openhmr.lab.synth.textures import texture_names
from openhmr.lab.synth.wardrobe import Wardrobe
from openhmr.render.raster import rasterise

from .test_synth import random_pack
from .tiny_humans import write_pack

SIZE = 160
FINE = np.array([[SAMPLES, 0, (SAMPLES - 1) / 2], [0, SAMPLES, (SAMPLES - 1) / 2], [0, 0, 1]])
"""From pixels to the samples of pixels."""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Path]:
    root = tmp_path_factory.mktemp("pack")
    motion = root / "motion.npz"
    np.savez(motion, **random_pack(60))
    return (motion, *write_pack(root))


@pytest.fixture(scope="module")
def renderer(pack) -> Renderer:
    pytest.importorskip("moderngl")
    _, humans, _, wardrobe = pack
    try:
        return Renderer(humans, Wardrobe.load(wardrobe), open_body(), SIZE)
    except InputError as error:
        pytest.skip(str(error))


def worn_mesh(renderer: Renderer, person: Person, outfit: Outfit) -> tuple[np.ndarray, np.ndarray]:
    """World vertices and faces of everything opaque that is drawn, skinned in float64; both sides of each
    face."""
    wardrobe = renderer.wardrobe
    suit, shoes = f"garments/{outfit.suit}", f"garments/{outfit.shoes}"
    bare = renderer.bare(suit, shoes, wardrobe.skin.rest(person.betas), 99, -99)
    vertices, faces, count = [], [], 0
    for item in (wardrobe.skin, *(wardrobe.items[n] for n in (suit, shoes, "hair/short01"))):
        blended = np.einsum("nk,nkab->nab", item.weights.astype(float), person.transforms[item.joints])
        vertices.append(np.einsum("nab,nb->na", blended[..., :3], item.rest(person.betas)) + blended[..., 3])
        front = (bare if item is wardrobe.skin else item.faces) + count
        faces += [front, front[:, ::-1]]
        count += len(vertices[-1])
    return np.concatenate(vertices), np.concatenate(faces)


def test_silhouette_and_depth_equal_the_software_rasteriser(renderer, pack) -> None:
    _, humans, backgrounds, _ = pack
    place = read_places(backgrounds, "train")[0]
    closet, rng = Closet(renderer.wardrobe, texture_names(humans), "train"), np.random.default_rng(0)
    for _ in range(4):
        betas = rng.normal(size=10).clip(-2, 2).astype(np.float32)
        rotations = axis_angle_to_matrix(rng.normal(size=(24, 3)) * 0.2).astype(np.float32)
        outfit = replace(closet.dress(rng, betas), sleeve=9.0, leg=9.0, hair="short01", hat=None)
        person = stand(renderer.figure, rotations, betas, outfit, 1.0, 0.0)
        camera = frame_person(rng, person.vertices, SIZE)
        layer = renderer.draw(person, place, camera, 0, renderer.cast_shadow(0, person, place))
        assert layer is not None
        drawn, depth = np.zeros((SIZE, SIZE)), np.full((SIZE, SIZE), np.inf)
        (x, y), (h, w) = layer.corner, layer.cover.shape
        drawn[y : y + h, x : x + w], depth[y : y + h, x : x + w] = layer.cover, layer.depth
        vertices, faces = worn_mesh(renderer, person, outfit)
        fragments = rasterise(camera.see(vertices), faces, camera.K, (SIZE, SIZE))
        want = np.zeros(SIZE * SIZE, bool)
        want[fragments.pixel] = True
        got = drawn.reshape(-1)
        # A pixel whose four samples all hit has its centre inside; one that no sample hits has not.
        assert (want & (got < 0.01)).sum() <= 4 and (~want & (got > 0.99)).sum() <= 4
        fine = rasterise(camera.see(vertices), faces, FINE @ camera.K, (SAMPLES * SIZE, SAMPLES * SIZE))
        exact = np.full((SAMPLES * SIZE) ** 2, np.nan)
        exact[fine.pixel] = fine.depth
        gap = exact.reshape(SAMPLES * SIZE, -1)[::SAMPLES, ::SAMPLES] - np.where(
            np.isfinite(depth), depth, np.nan
        )
        gap = gap[np.isfinite(gap)]
        assert np.percentile(gap, 2) > -0.002 and np.percentile(gap, 98) < SUIT_BIAS_M + 0.002, (
            "only the suit is drawn nearer"
        )
        assert abs(np.percentile(gap, 70) - SUIT_BIAS_M) < 0.001, "by what its bias says"


def test_colours_are_worn_and_shadows_fall_away_from_the_light(renderer, pack) -> None:
    _, humans, backgrounds, _ = pack
    place = read_places(backgrounds, "train")[0]
    closet, rng = Closet(renderer.wardrobe, texture_names(humans), "train"), np.random.default_rng(1)
    betas = np.zeros(10, np.float32)
    person = stand(
        renderer.figure,
        np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
        betas,
        closet.dress(rng, betas),
        0.0,
        0.0,
    )
    camera = frame_person(np.random.default_rng(6), person.vertices, SIZE)
    matrix = renderer.cast_shadow(0, person, place)
    empty = renderer.backdrop(place, camera, [], [], 0.01).astype(int)
    shaded = renderer.backdrop(place, camera, [person], [matrix], 0.01).astype(int)
    assert (shaded <= empty).all(), "a shadow never brightens"
    dark = np.argwhere((empty - shaded).sum(2) > 40)
    assert len(dark) > 50
    rays = np.column_stack(
        [
            (dark[:, 1] - camera.K[0, 2]) / camera.K[0, 0],
            (dark[:, 0] - camera.K[1, 2]) / camera.K[1, 1],
        ]
    )
    rays = np.column_stack([rays, np.ones(len(rays))]) @ camera.R
    spots = camera.centre + rays * (camera.centre[1] / -rays[:, 1:2])
    assert (spots.mean(0) - person.vertices.mean(0))[[0, 2]] @ place.key_direction[[0, 2]] < 0


def test_runs_repeat_resume_and_refuse(renderer, pack, tmp_path: Path) -> None:
    motion, humans, backgrounds, wardrobe = pack
    made: list[bytes] = []
    said: list[str] = []
    for name in ("a", "b"):
        task = Task(motion, humans, backgrounds, wardrobe, tmp_path / name, 3, "train", 5, SIZE)
        assert generate(task, 1, said.append) == 3
        made.append((tmp_path / name / "images-00000.tar").read_bytes())
    assert made[0] == made[1], "the same seed gives the same pictures"
    assert len(said) == 2 and all("pictures/s" in s for s in said)
    stamp = (tmp_path / "a/images-00000.tar").stat().st_mtime_ns
    arguments = [
        "synth",
        "images",
        "--motion",
        str(motion),
        "--humans",
        str(humans),
        "--backgrounds",
        str(backgrounds),
        "--wardrobe",
        str(wardrobe),
        "--out",
        str(tmp_path / "a"),
        "--size",
        str(SIZE),
        "--seed",
        "5",
    ]
    assert main([*arguments, "--count", "3", "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "a/images-00000.tar").stat().st_mtime_ns == stamp, "complete shards stay"
    assert main([*arguments, "--count", "4", "--workers", "2"]) == 0
    with np.load(tmp_path / "a/images-00000.npz") as arrays:
        assert len(arrays["K"]) == 4, "a short shard is made whole"
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    with tarfile.open(tmp_path / "a/images-00000.tar") as tar:
        assert tar.getnames() == [f"{k:08d}.jpg" for k in range(4)]
    with np.load(tmp_path / "a/images-00000.npz") as arrays:
        assert arrays["pose"].shape == (4, 24, 3) and arrays["visible"].dtype == bool
        assert np.all(arrays["translation"][:, 2] > 0.3) and set(arrays["background"]) == {"room"}
    assert len(json.loads((tmp_path / "a/annotations.json").read_text())["annotations"]) == 4
    with pytest.raises(InputError, match="no panorama for the split"):
        generate(
            Task(motion, humans, backgrounds, wardrobe, tmp_path / "c", 1, "test", 5, SIZE), 1, said.append
        )
    with pytest.raises(InputError, match="at least 1"):
        generate(
            Task(motion, humans, backgrounds, wardrobe, tmp_path / "d", 0, "train", 5, SIZE), 1, said.append
        )
    with pytest.raises(InputError, match="no folder"):
        generate(
            Task(motion, tmp_path / "nowhere", backgrounds, wardrobe, tmp_path / "e", 1, "train", 5, SIZE),
            1,
            said.append,
        )
