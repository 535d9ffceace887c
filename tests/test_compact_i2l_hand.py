"""The compact I2L-MeshNet of hands: trunk, crops, targets, a training that runs."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import save_file

from openhmr.bodies.shipped import open_hand
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.joints import MANO
from openhmr.lab.config import build, read_yaml
from openhmr.lab.models.i2l_meshnet.compact import CompactI2LConfig
from openhmr.lab.models.i2l_meshnet.hand_trunk import HandTrunk
from openhmr.lab.models.i2l_meshnet.subject import HAND
from openhmr.lab.synth.augment import NONE, Augmentation
from openhmr.lab.synth.hand_crops import HandPictures
from openhmr.lab.training.compact_i2l_hand import CompactI2LHandRecipe, CompactI2LHandRun, untrained_hand
from openhmr.lab.training.compact_i2l_losses import restore
from openhmr.models import available
from openhmr.predict.person_crop import LIXELS, PATCH
from tests.hand_shards import LIT, write_hand_shards
from tests.test_compact_i2l import SMALL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hands")
    write_hand_shards(out)
    torch.manual_seed(3)
    weights = untrained_hand(open_hand(), CompactI2LConfig(**SMALL)).state_dict()
    (out / "start").mkdir()
    save_file({f"average.{k}": v.contiguous() for k, v in weights.items()}, out / "start/state.safetensors")
    return out


@pytest.fixture(scope="module")
def training(folder: Path) -> CompactI2LHandRecipe:
    settings = {
        "pictures": str(folder),
        "validation": str(folder),
        "model": SMALL,
        "schedule": {"steps": 1, "batch": 2, "warmup": 1},
        "start_from": str(folder / "start"),
        "precision": "float32",
    }
    return CompactI2LHandRecipe(build(CompactI2LHandRun, settings), torch.device("cpu"))


def test_the_trunk_computes_what_mediapipe_does() -> None:
    """Against TensorFlow Lite's own interpreter on one picture (``data/hand.npz``)."""
    recorded = np.load(Path(__file__).parent / "data" / "hand.npz")
    picture = cv2.cvtColor(cv2.imdecode(recorded["picture"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    trunk = HandTrunk().eval()
    trunk.load_mediapipe()
    with torch.no_grad():
        seen = trunk(torch.as_tensor(picture).permute(2, 0, 1)[None] / 255)
    assert_allclose(seen["landmarks"][0, :, :3], recorded["points"], atol=5e-3)
    assert_allclose(seen["world"][0], recorded["world"], atol=1e-5)
    assert_allclose(seen["landmarks"][0, 0, 3:].sigmoid(), recorded["presence"], atol=1e-5)
    assert_allclose(seen["right"][0].sigmoid(), recorded["right"], atol=1e-5)
    with pytest.raises(InputError, match="does not hold MediaPipe's full hand landmark network"):
        trunk.load_mediapipe(available()["detector"])


def test_left_hands_are_mirrored_right_ones(folder: Path) -> None:
    """A left hand's parameters give the left open hand where its joints are."""
    arrays = np.load(folder / "images-00000.npz")
    assert arrays["right"].tolist() == [i % 2 == 0 for i in range(12)]
    for i, right in enumerate(arrays["right"]):
        hand = open_hand("right" if right else "left")
        pose, betas, place = (arrays[k][i].astype(np.float64) for k in ("pose", "betas", "translation"))
        vertices = np.asarray(skin(hand, pose, betas)[0]) + place
        joints = hand.joint_regressor(MANO) @ vertices
        assert_allclose(joints, arrays["joints_cam"][i], atol=1e-6)
        pixels = joints @ arrays["K"][i].T
        assert_allclose(pixels[:, :2] / pixels[:, 2:], arrays["joints_px"][i], atol=1e-3)


def test_lixel_targets_lead_back_to_the_mesh(training: CompactI2LHandRecipe) -> None:
    """Restoring the targets of augmented crops gives the posed mesh, and so do the parameter targets."""
    batch, skeleton = training.source.draw(16, 0, 0), training.losses.skeleton
    restored = restore(batch.vertices, batch.scale_m, batch, HAND.depth_m)
    place = (restored - batch.points_m).mean(1, keepdim=True)
    torch.testing.assert_close(restored - place, batch.points_m, atol=1e-5, rtol=0)
    r, t = skeleton.transforms(batch.rotations, batch.betas)
    skinned = skeleton.vertices(r, t, batch.betas) - skeleton.roots(r, t, batch.betas)
    torch.testing.assert_close(skinned, batch.points_m, atol=1e-5, rtol=0)
    measured = training.losses.measured @ restored
    torch.testing.assert_close(measured - measured[:, :1], batch.measured_m, atol=1e-5, rtol=0)


VARIED = replace(NONE, scale=0.2, shift=0.1, rotation_deg=20, rotation_share=1)


@pytest.mark.parametrize("augmentation", [NONE, VARIED, replace(NONE, turned=1)])
def test_a_joint_is_where_it_is_drawn(
    training: CompactI2LHandRecipe, folder: Path, augmentation: Augmentation
) -> None:
    source = training.crops(str(folder), open_hand(), augmentation)
    ids, rng = np.arange(12), np.random.default_rng(1)
    crops = [source.crop(int(i), rng) for i in ids]
    assert [c.mirrored for c in crops] == [i % 2 == 1 for i in ids]
    targets = source.targets(ids, crops).joints[:, LIT, :2].numpy() * (PATCH / LIXELS)
    y, x = np.mgrid[:PATCH, :PATCH]
    whole = 0
    for crop, target in zip(crops, targets, strict=True):
        if np.abs(target - PATCH / 2).max() < PATCH / 2 - 25:
            light = np.where(crop.image[..., 0] > 8, crop.image[..., 0], 0).astype(np.float64)
            middle = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
            # A light of 4 pixels, drawn to a sixteenth of a pixel, magnified two or three times.
            assert np.abs(middle - target).max() < 0.4
            whole += 1
    assert whole >= 8


def test_a_turned_hand_is_lifted_turned(training: CompactI2LHandRecipe) -> None:
    """The lifter sees every hand with its fingers up; what it lifts is turned back. The nudges are zero at
    first."""
    network, c = training.network.eval(), training.config.model
    joints, confidence = torch.rand(3, 21, 3) * 40 + 12, torch.full((3, 21, 1), 0.8)
    seen = torch.zeros(3, c.global_features + 21 * c.token_features)
    angle = torch.tensor(1.1)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)

    def turned(points: torch.Tensor) -> torch.Tensor:
        return torch.cat([(points[..., :2] - 32) @ turn.mT + 32, points[..., 2:]], -1)

    with torch.no_grad():
        plain, again = (network.lift(x, confidence, seen) for x in (joints, turned(joints)))
    torch.testing.assert_close(again[0], turned(plain[0]), atol=2e-3, rtol=1e-4)
    torch.testing.assert_close(again[1], plain[1], rtol=1e-4, atol=1e-4)


def test_gradient_reaches_what_trains(training: CompactI2LHandRecipe) -> None:
    network = training.network.train()
    losses = training.loss(network, 0, torch.Generator())
    assert all(torch.isfinite(value) for value in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    reached = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
    assert reached >= {"trunk", "lifter", "pose_head", "volume", "second", "mesh_head", "param"}
    assert network.trunk.laterals["1"].point.weight.grad is not None
    out = network.eval()(torch.rand(1, 3, PATCH, PATCH))
    shapes = {k: tuple(v.shape[1:]) for k, v in out.items()}
    assert shapes["joints_lixel"] == shapes["joints_sigma"] == (21, 3)
    assert shapes["rotations"] == (16, 3, 3) and shapes["vertices_lixel"] == (250, 3)


def test_the_preset_is_valid(folder: Path) -> None:
    settings = read_yaml("compact_i2l_hand") | {"pictures": "x", "validation": "y"}
    assert build(CompactI2LHandRun, settings).recipe == "i2l_hand"
    with np.load(folder / "images-00000.npz") as arrays:
        kept = {k: v for k, v in arrays.items() if k != "right"}
    other = folder / "other"
    other.mkdir()
    (other / "images-00000.tar").write_bytes((folder / "images-00000.tar").read_bytes())
    np.savez(other / "images-00000.npz", **kept)
    with pytest.raises(InputError, match="lacks right"):
        HandPictures(other, open_hand())
