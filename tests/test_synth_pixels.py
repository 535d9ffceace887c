"""Where things lie in synthetic pictures and crops of them: integers are the centres of pixels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from openhmr.bodies.shipped import open_body
from openhmr.joints import COCO, SMPL
from openhmr.lab.synth.crops import NONE, Augmentation, CropSource, Pictures, cut
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.synth.shards import FIRST_PIXEL, read_shards, write_shard
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
        pictures.append(spot(pixels[NOSE]))
    write_shard(out, 0, 0, pictures, rows)
    return out


def cv2_matrices(pose: NDArray) -> NDArray[np.float32]:
    return np.stack([cv2.Rodrigues(turn.astype(np.float64))[0] for turn in pose]).astype(np.float32)


@pytest.mark.parametrize(
    "augmentation",
    [NONE, Augmentation(0.25, 20, 1, 0.08, 0, 0, True, 0, 0, 0, 0, 0)],
    ids=["plain", "varied"],
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


def test_older_shards_are_moved_to_the_centres_of_pixels(folder: Path, tmp_path: Path) -> None:
    """They were counted from the corner of the upper left pixel, and do not say so."""
    (_, new), *_ = read_shards(folder)
    older = {k: v for k, v in new.items() if k != FIRST_PIXEL}
    older["K"] = new["K"] + [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    older["box_xywh"] = new["box_xywh"] + [0.5, 0.5, 0, 0]
    np.savez(tmp_path / "images-00000.npz", **older)
    (tmp_path / "images-00000.tar").write_bytes((folder / "images-00000.tar").read_bytes())
    (_, read), *_ = read_shards(tmp_path)
    for name in older:
        np.testing.assert_allclose(read[name], new[name], atol=1e-5, err_msg=name)
