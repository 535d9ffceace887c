"""The readers and the preparation of I2L-MeshNet on miniature trees, against what the original makes of
them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.lab.data.freihand import FreiHAND
from openhmr.lab.data.human36m import Human36M
from openhmr.lab.data.mscoco import MSCOCO
from openhmr.lab.data.muco import MuCo
from openhmr.lab.data.pw3d import PW3D
from openhmr.lab.items.i2l_augmentation import Augmentation
from openhmr.lab.items.i2l_meshnet import Preparation
from tests.synthetic_models import model
from tests.test_skinning import synthetic_body

MINI = Path(__file__).parent / "data" / "i2l" / "minidata"
OPENCV5 = int(cv2.__version__.split(".")[0]) >= 5


def stand_in_regressor(seed: int, vertices: int = 6890) -> np.ndarray:
    rng, out = np.random.default_rng(seed), np.zeros((17, vertices), np.float32)
    for row in out:
        picked = np.unique(rng.integers(0, vertices, 12))
        w = rng.random(len(picked))
        row[picked] = w / w.sum()
    return out


@pytest.fixture(scope="session")
def smpl() -> Body:
    return replace(
        synthetic_body(False),
        joint_regressors={"human36": stand_in_regressor(401), "coco": stand_in_regressor(501)},
    )


@pytest.fixture(scope="session")
def gendered(smpl: Body) -> dict[str, Body]:
    parts = ("shapedirs", "posedirs", "J_regressor", "weights")
    others = {gender: model(seed, False) for gender, seed in (("male", 102), ("female", 103))}
    return {"neutral": smpl} | {g: replace(smpl, **{k: a[k] for k in parts}) for g, a in others.items()}


def compare(recorded: dict, key: str, samples, preparation: Preparation, train: bool) -> None:
    assert len(samples) == sum(k.startswith(key) and k.endswith(".bbox") for k in recorded)
    for i, sample in enumerate(samples):
        part = {k.removeprefix(f"{key}.{i}."): v for k, v in recorded.items() if k.startswith(f"{key}.{i}.")}
        assert sample.image_path.is_file() and str(part["path"]).endswith(
            str(sample.image_path.relative_to(MINI))
        )
        np.testing.assert_array_equal(sample.crop_xywh, part["bbox"])
        scale, rotation, r, g, b, flip = part["aug"]
        drawn = Augmentation(scale, rotation, (r, g, b), bool(flip) and preparation.kind == "body")
        inputs, targets, meta = preparation.train(sample, drawn) if train else preparation.test(sample)
        if OPENCV5:
            np.testing.assert_allclose(inputs["img"][:, ::8, ::8], part["img_s8"], rtol=0, atol=1e-6)
        expected = {k: v for k, v in part.items() if k.startswith(("targets.", "meta."))}
        assert {k.removesuffix("_s10") for k in expected} == {f"targets.{k}" for k in targets} | {
            f"meta.{k}" for k in meta
        }
        for name, value in expected.items():
            group, _, field = name.removesuffix("_s10").partition(".")
            got = (targets if group == "targets" else meta)[field]
            got = got[::10] if name.endswith("_s10") else got
            tolerance = (
                1e-5 if field.endswith(("_cam", "_param", "trans")) else 1e-3 if group == "targets" else 0
            )
            if field == "fit_joint_cam" and preparation.kind == "hand":
                tolerance = 1e-2
            assert got.shape == value.shape and got.dtype == np.float32
            np.testing.assert_allclose(got, value, rtol=0, atol=tolerance, err_msg=f"{key} {i} {name}")


@pytest.fixture(scope="module")
def recorded(data: Path) -> dict:
    out = {}
    for kind in ("body", "hand"):
        with np.load(data / "i2l" / f"datasets_{kind}.npz") as file:
            out |= dict(file)
    return out


@pytest.mark.parametrize("split", ["train", "test"])
def test_human36m(recorded: dict, smpl: Body, split: str) -> None:
    compare(
        recorded,
        f"Human36M_{split}",
        Human36M(MINI / "Human36M", split, smpl),
        Preparation("body", smpl),
        split == "train",
    )


def test_muco(recorded: dict, smpl: Body) -> None:
    compare(recorded, "MuCo_train", MuCo(MINI / "MuCo"), Preparation("body", smpl), True)


@pytest.mark.parametrize("split", ["train", "test"])
def test_mscoco(recorded: dict, smpl: Body, split: str) -> None:
    compare(
        recorded,
        f"MSCOCO_{split}",
        MSCOCO(MINI / "MSCOCO", split),
        Preparation("body", smpl),
        split == "train",
    )


def test_pw3d(recorded: dict, smpl: Body, gendered: dict) -> None:
    compare(recorded, "PW3D_test", PW3D(MINI / "PW3D", gendered), Preparation("body", smpl, gendered), False)


@pytest.mark.parametrize("split", ["train", "test"])
def test_freihand(recorded: dict, split: str) -> None:
    compare(
        recorded,
        f"FreiHAND_{split}",
        FreiHAND(MINI / "FreiHAND", split),
        Preparation("hand", synthetic_body(True)),
        split == "train",
    )
