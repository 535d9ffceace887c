"""Every official Pose2Mesh config trains and is tested on miniature trees of its own data sets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.cli import main
from tests import pose_trees as trees
from tests.conftest import make_tiny_body
from tests.test_skinning import synthetic_body

BODY = make_tiny_body()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    trees.human36m(root / "Human36M", BODY)
    trees.muco(root / "MuCo", BODY)
    trees.coco(root / "COCO", BODY)
    trees.pw3d(root / "PW3D")
    trees.surreal(root / "SURREAL")
    trees.freihand(root / "FreiHAND")
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
    "pose2mesh_cocoJ_train_human36_coco_muco": "MPVPE (mm)         >> tot: ",
    "pose2mesh_smplJ_train_surreal": "Mesh error (MPVPE): ",
}
"""The last of a config's lines that are looked for; none of hands, whose errors the server knows."""


@pytest.mark.parametrize("config", PRINTED)
def test_config(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, config: str) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("openhmr.lab.models.pose2mesh.posenet.HIDDEN", 16)
    monkeypatch.setattr("openhmr.lab.training.fit.plot_metrics", lambda folder: None)
    body = data / ("hand.npz" if "mano" in config else "body.npz")
    common = ["--data", str(data), "--body", str(body), "--male", str(data / "body.npz"), "--female", str(data / "body.npz")]
    common += ["--cache", str(tmp_path / "cache"), "--set", "DATASET.workers=0", "--set", "TRAIN.batch_size=6"]
    more = ["--set", "TRAIN.end_epoch=1", "--set", "RUN.limit=4", "--set", "MODEL.posenet_pretrained=false", "--out", str(tmp_path / "run")]
    assert main(["lab", "train", config, *common, *more]) == 0
    capsys.readouterr()
    if printed := PRINTED[config]:
        words = [config, *common, "--weights", str(tmp_path / "run"), "--out", str(tmp_path / "test")]
        assert main(["lab", "test", *words]) == 0
        line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith(printed))
        assert np.isfinite(float(line.removeprefix(printed).split()[0]))
