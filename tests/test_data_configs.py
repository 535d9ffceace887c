"""Every official Pose2Mesh config trains and is tested on miniature trees of its own data sets."""

import json
from pathlib import Path

import numpy as np
import pytest

from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.lab.config import build, override, read_yaml
from openhmr.lab.training.datasets import Sources, pose2mesh_datasets
from openhmr.lab.training.official_configs import Pose2MeshConfig
from tests import pose_trees as trees
from tests.conftest import make_tiny_body
from tests.test_skinning import synthetic_body

BODY = make_tiny_body()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    trees.every(root, BODY)
    trees.amass(root / "AMASS")
    BODY.save(root / "body.npz")
    synthetic_body(True).save(root / "hand.npz")
    return root


PRINTED = {
    "posenet_human36J_train_human36": "Protocol 2 H36M pose error (MPJPE) >> tot: ",
    "posenet_cocoJ_train_human36_coco_muco": "COCO MPJPE (mm)    >> tot: ",
    "posenet_cocoJ_train_human36_coco_amass": "COCO MPJPE (mm)    >> tot: ",
    "posenet_smplJ_train_surreal": "MPJPE: ",
    "posenet_manoJ_train_freihand": "",
    "pose2mesh_human36J_train_human36": "Protocol 2 SMPL mesh error (MPVPE) >> tot: ",
    "pose2mesh_cocoJ_train_human36_coco_muco": "MPVPE (mm)         >> tot: ",
    "pose2mesh_cocoJ_train_human36_coco_amass": "PA-MPVPE (mm)      >> tot: ",
    "pose2mesh_smplJ_train_surreal": "Mesh error (MPVPE): ",
    "pose2mesh_manoJ_train_freihand": "Saved ",
}
"""The last of a config's lines that are looked for; none of hands, whose errors the server knows."""


@pytest.mark.parametrize("config", PRINTED)
def test_config(data: Path, tmp_path: Path, capsys, config: str) -> None:
    body = data / ("hand.npz" if "mano" in config else "body.npz")
    common = [
        "--data",
        str(data),
        "--body",
        str(body),
        "--male",
        str(data / "body.npz"),
        "--female",
        str(data / "body.npz"),
    ]
    common += [
        "--cache",
        str(tmp_path / "cache"),
        "--set",
        "MODEL.posenet_hidden=16",
        "--set",
        "DATASET.workers=0",
        "--set",
        "TRAIN.batch_size=6",
    ]
    more = [
        "--set",
        "TRAIN.end_epoch=1",
        "--set",
        "RUN.limit=4",
        "--set",
        "MODEL.posenet_pretrained=false",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(["lab", "train", config, *common, *more]) == 0
    capsys.readouterr()
    if not (printed := PRINTED[config]):
        return
    words = [
        "lab",
        "test",
        config,
        *common,
        "--weights",
        str(tmp_path / "run"),
        "--out",
        str(tmp_path / "test"),
    ]

    def tested(*switches: str) -> str:
        assert main([*words, *(word for switch in switches for word in ("--set", switch))]) == 0
        return next(
            row for row in capsys.readouterr().out.splitlines() if row.startswith(printed)
        ).removeprefix(printed)

    if "mano" in config:
        meshes = []
        for switch in ("true", "false"):
            tested(f"QUIRKS.hand_mm={switch}")
            meshes.append(np.array(json.loads((tmp_path / "test" / "pred.json").read_text())[1]))
        np.testing.assert_allclose(meshes[0], meshes[1] * 1000)
    else:
        value = float(tested().split()[0])
        assert np.isfinite(value)
        if printed.startswith("PA-MPVPE"):
            assert value == 0 < float(tested("QUIRKS.pw3d_pa_mpvpe_zero=false"))


def sets(data: Path, name: str, **quirks: bool):
    config = build(
        Pose2MeshConfig,
        override(read_yaml(name), [f"QUIRKS.{k}={str(v).lower()}" for k, v in quirks.items()]),
    )
    gendered = {"neutral": BODY, "male": BODY, "female": BODY}
    return pose2mesh_datasets(config, Sources(BODY, gendered, data))


def test_switches_reach_the_data_sets(data: Path) -> None:
    counts = [
        len(sets(data, "posenet_smplJ_train_surreal", surreal_repeat_first=on)[0][0]) for on in (True, False)
    ]
    assert counts == [4, 3]
    amass = data / "AMASS" / "data"
    (amass / "CMU").rename(amass / "cmu")
    try:
        with pytest.raises(InputError, match="amass_any_case"):
            sets(data, "posenet_cocoJ_train_human36_coco_amass")
        assert len(sets(data, "posenet_cocoJ_train_human36_coco_amass", amass_any_case=True)[0][2]) == 12
    finally:
        (amass / "cmu").rename(amass / "CMU")
    found = data / "Human36M" / "absnet_output_on_testset.json"
    before = json.loads(found.read_text())
    trees.write(found, before | {"s_08_more.jpg": np.zeros((17, 2))})
    try:
        by_position, by_name = (
            sets(data, "posenet_human36J_train_human36", detections_by_position=on)[1].samples[1].detected_px
            for on in (True, False)
        )
    finally:
        trees.write(found, before)
    np.testing.assert_array_equal(by_name, before["s_09_act_02_subact_01_ca_01_000100.jpg"])
    np.testing.assert_array_equal(by_position, before["s_09_act_02_subact_01_ca_01_000000.jpg"])
