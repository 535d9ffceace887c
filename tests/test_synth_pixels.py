"""Where things lie in synthetic pictures and crops of them: integers are the centres of pixels."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import COCO, SMPL
from openhmr.lab.synth.augment import NONE, Augmentation
from openhmr.lab.synth.crops import CropSource, Pictures, cut
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.synth.shards import read_shards, write_shard
from openhmr.predict.coarse_mesh import coarse_regressor
from openhmr.predict.person_crop import LIXELS, PATCH

torch = pytest.importorskip("torch")

SIZE = 320
NOSE, SPREAD_PX = 0, 3.0
K = np.array([[400, 0, 159.5], [0, 400, 159.5], [0, 0, 1]])


def spot(at: NDArray) -> bytes:
    """A picture that is black but for a round spot about pixel ``at``, as lossless as JPEG can be."""
    y, x = np.mgrid[:SIZE, :SIZE]
    light = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * SPREAD_PX**2))
    picture = np.repeat(light.round().astype(np.uint8)[..., None], 3, 2)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return Skeleton(open_body())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton) -> Path:
    """Four people, each with a spot of light where their nose is seen."""
    out, rng, pictures, rows = tmp_path_factory.mktemp("spots"), np.random.default_rng(0), [], []
    for _ in range(4):
        pose, betas = rng.normal(size=(24, 3)).astype(np.float32) * 0.2, np.zeros(10, np.float32)
        pose[0] = np.pi, 0, 0
        place = np.array([*rng.uniform(-0.4, 0.4, 2), 3.5], np.float32)
        local = torch.as_tensor(cv2_matrices(pose))[None]
        r, t = skeleton.transforms(local, torch.as_tensor(betas)[None])
        joints = skeleton.joints(COCO, r, t + torch.as_tensor(place), torch.as_tensor(betas)[None])[0]
        pixels = joints.numpy() @ K.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        box = np.concatenate([pixels.min(0), np.ptp(pixels, axis=0)])
        rows.append({"K": K, "pose": pose, "betas": betas, "translation": place, "box_xywh": box})
        rows[-1]["joints_px"] = np.zeros((19, 2), np.float32)
        pictures.append(spot(pixels[NOSE]))
    write_shard(out, 0, 0, pictures, rows, open_body())
    return out


def cv2_matrices(pose: NDArray) -> NDArray[np.float32]:
    return np.stack([cv2.Rodrigues(turn.astype(np.float64))[0] for turn in pose]).astype(np.float32)


@pytest.mark.parametrize(
    "augmentation",
    [
        NONE,
        replace(NONE, scale=0.25, rotation_deg=20, rotation_share=1, shift=0.08, flip=True, clip_box=0),
        replace(NONE, turned=1, flip=True),
    ],
    ids=["plain", "varied", "turned"],
)
def test_a_joint_is_where_it_is_drawn(folder: Path, skeleton: Skeleton, augmentation: Augmentation) -> None:
    """Turned, zoomed, mirrored: the middle of the light is the nose's target, to a tenth of a pixel."""
    body = open_body()
    human36 = torch.as_tensor(coarse_regressor(body, body.joint_regressor("human36")))
    pictures, rng = Pictures(folder), np.random.default_rng(1)
    source = CropSource(pictures, skeleton, human36, SMPL.flip_permutation, augmentation)
    ids = np.repeat(np.arange(4), 6)
    crops = [cut(pictures, int(i), augmentation, rng) for i in ids]
    assert augmentation is NONE or 0 < sum(c.mirrored for c in crops) < len(crops)
    targets = source.targets(ids, crops).joints[:, NOSE, :2].numpy() * (PATCH / LIXELS)
    y, x = np.mgrid[:PATCH, :PATCH]
    whole = 0
    for crop, target in zip(crops, targets, strict=True):
        if np.abs(target - PATCH / 2).max() > PATCH / 2 - 20:
            continue
        light = np.where(crop.image[..., 0] > 8, crop.image[..., 0], 0).astype(np.float64)
        middle = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
        assert np.abs(middle - target).max() < 0.1
        whole += 1
    assert whole >= 12


def test_shards_of_another_body_are_refused(folder: Path, tmp_path: Path) -> None:
    """The same betas are other shapes there."""
    (_, arrays), *_ = read_shards(folder, open_body())
    for body in ({}, {"body": np.array("0123456789abcdef")}):
        np.savez(tmp_path / "images-00000.npz", **arrays, **body)  # type: ignore[arg-type]
        (tmp_path / "images-00000.tar").write_bytes((folder / "images-00000.tar").read_bytes())
        with pytest.raises(InputError, match="people of another body"):
            read_shards(tmp_path, open_body())
