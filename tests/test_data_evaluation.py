"""The original's errors, lines and hand file, from recorded predictions of pure chance."""

import json
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.lab.data.freihand import FreiHAND
from openhmr.lab.data.human36m import Human36M
from openhmr.lab.data.mscoco import MSCOCO
from openhmr.lab.data.pw3d import PW3D
from openhmr.lab.evaluation.official_i2l import METRICS, OfficialTest, lines, write_hands
from openhmr.lab.items.i2l_augmentation import Augmentation
from openhmr.lab.items.i2l_meshnet import Preparation
from openhmr.lab.items.i2l_targets import lixels_to_camera
from tests.test_data_recorded import MINI, gendered, recorded, smpl  # noqa: F401 (fixtures)
from tests.test_skinning import synthetic_body


def by_chance(rng: np.random.Generator, vertices: int, unit: float) -> dict[str, np.ndarray]:
    image = (rng.random((vertices, 3)) * 20 + 22).astype(np.float32)
    return {
        "mesh_coord_img": image,
        "mesh_coord_cam": (rng.standard_normal((vertices, 3)) * 0.3 * unit).astype(np.float32),
    }


@pytest.mark.parametrize("name", ["Human36M", "PW3D"])
def test_errors_of_bodies(data: Path, smpl: Body, gendered: dict, name: str) -> None:
    expected = json.loads((data / "i2l" / "datasets_body.json").read_text())[f"{name}_test"]
    samples = Human36M(MINI / name, "test", smpl) if name == "Human36M" else PW3D(MINI / name, gendered)
    test, rng = (
        OfficialTest(samples, Preparation("body", smpl, gendered)),
        np.random.default_rng(expected["fake_out_seed"]),
    )
    rows = [test.errors(i, test.item(i), by_chance(rng, 6890, 1)) for i in range(len(test))]
    found = {m: [row[m] for row in rows] for m in METRICS}
    for metric in METRICS:
        np.testing.assert_allclose(found[metric], expected["eval"][metric], rtol=0, atol=1e-2)
    mean = {m: np.mean(v) for m, v in expected["eval"].items()}
    assert lines(found) == [
        f"MPJPE from lixel mesh: {mean['mpjpe_lixel']:.2f} mm",
        f"PA MPJPE from lixel mesh: {mean['pa_mpjpe_lixel']:.2f} mm",
        f"MPJPE from param mesh: {mean['mpjpe_param']:.2f} mm",
        f"PA MPJPE from param mesh: {mean['pa_mpjpe_param']:.2f} mm",
    ]
    lixel_only = {k: v for k, v in found.items() if k.endswith("lixel")}
    assert lines(lixel_only)[2:] == ["MPJPE from param mesh: nan mm", "PA MPJPE from param mesh: nan mm"]


def test_coco_has_no_errors(smpl: Body) -> None:
    test = OfficialTest(MSCOCO(MINI / "MSCOCO", "test"), Preparation("body", smpl))
    assert test.errors(0, {}, {}) == {}


@pytest.mark.parametrize("stage", ["lixel", "param"])
def test_hands(tmp_path: Path, data: Path, recorded: dict, stage: str) -> None:
    seed = json.loads((data / "i2l" / "datasets_hand.json").read_text())["FreiHAND_test"]["fake_out_seed"]
    test, rng = (
        OfficialTest(FreiHAND(MINI / "FreiHAND", "test"), Preparation("hand", synthetic_body(True))),
        np.random.default_rng(seed),
    )
    predictions = [by_chance(rng, 778, 1000) for _ in range(3)]
    given = [p if stage == "param" else {"mesh_coord_img": p["mesh_coord_img"]} for p in predictions]
    assert test.errors(0, {}, given[0]) == {}
    write_hands(tmp_path / "pred.json", (test.hand(i, p) for i, p in enumerate(given)))
    joints, meshes = (np.array(part) for part in json.loads((tmp_path / "pred.json").read_text()))
    tolerance = 1e-5 if stage == "lixel" else 1e-2
    np.testing.assert_allclose(
        joints, recorded[f"FreiHAND_test.eval_{stage}.joint_out"], rtol=0, atol=tolerance
    )
    np.testing.assert_allclose(
        meshes[:, ::10], recorded[f"FreiHAND_test.eval_{stage}.mesh_out_s10"], rtol=0, atol=tolerance
    )
    if stage == "param":
        # In metres the hand is the same one, and its root lies where the lixel mesh has it.
        metres, lixel = (
            test.hand(0, given[0], param_mm=False),
            test.hand(0, {"mesh_coord_img": given[0]["mesh_coord_img"]}),
        )
        np.testing.assert_allclose(metres[0][0], lixel[0][0], atol=1e-6)
        np.testing.assert_allclose(np.ptp(metres[1], axis=0), np.ptp(meshes[0], axis=0) / 1000, atol=1e-9)


def test_no_hand_file_of_broken_predictions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finite"):
        write_hands(tmp_path / "pred.json", [(np.full((21, 3), np.nan), np.zeros((778, 3)))])
    assert not list(tmp_path.iterdir())


def test_truth_has_no_error(smpl: Body) -> None:
    """The lixel targets of a sample, restored, are its own mesh again: the whole chain of projections is
    inverted."""
    samples, preparation = Human36M(MINI / "Human36M", "train", smpl), Preparation("body", smpl)
    sample = samples[0]
    _, targets, _ = preparation.train(sample, Augmentation())
    mesh = lixels_to_camera(targets["fit_mesh_img"], sample, 2.0)
    from openhmr.bodies.skinning import skin

    expected, joints = skin(smpl, sample.pose, sample.betas, sample.trans_m)
    # The annotated root depth differs from the fit's, so the mesh is restored nearer or farther along its own
    # rays.
    moved = expected[:, 2] - joints[0, 2] + sample.root_depth_m
    np.testing.assert_allclose(mesh, expected * (moved / expected[:, 2])[:, None], atol=2e-5)
