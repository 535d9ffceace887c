"""Damaged data sets on the command line: one sentence and exit code 2; a bad sample is named, and skipped
only if asked to."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.lab.data.human36m import Human36M
from openhmr.lab.items.i2l_meshnet import I2LItems, Preparation
from openhmr.lab.training.batches import Batches, GroupMix
from tests import pose_trees as trees
from tests.conftest import make_tiny_body
from tests.test_data_recorded import MINI, smpl  # noqa: F401 (fixture)

BODY = make_tiny_body()
SUBJECT = "Human36M/annotations/Human36M_subject1_{}.json"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    trees.human36m(tmp_path / "data" / "Human36M", BODY)
    BODY.save(tmp_path / "body.npz")
    return tmp_path / "data"


def train(data: Path, *more: str, config: str = "pose2mesh_human36J_train_human36") -> int:
    words = [
        "--data",
        str(data),
        "--body",
        str(data.parent / "body.npz"),
        "--cache",
        str(data.parent / "cache"),
    ]
    words += [
        "--set",
        "MODEL.posenet_hidden=16",
        "--set",
        "DATASET.workers=0",
        "--set",
        "TRAIN.batch_size=3",
        "--set",
        "TRAIN.end_epoch=1",
    ]
    return main(
        [
            "lab",
            "train",
            config,
            *words,
            "--set",
            "MODEL.posenet_pretrained=false",
            "--out",
            str(data.parent / "run"),
            *more,
        ]
    )


def truncated(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def nan_pose(path: Path) -> None:
    fits = json.loads(path.read_text())
    fits["2"]["1"]["5"]["pose"][3] = float("nan")
    path.write_text(json.dumps(fits))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: truncated(d / SUBJECT.format("joint_3d")), "Human36M_subject1_joint_3d.json"),
        (lambda d: (d / SUBJECT.format("camera")).unlink(), "Human36M_subject1_camera.json"),
        (lambda d: nan_pose(d / SUBJECT.format("smpl_param")), "Human36M annotation 998"),
        (lambda d: shutil.move(d / "Human36M", d / "H36M"), "Human36M"),
        (lambda d: trees.write(d / SUBJECT.format("data"), {"images": [], "annotations": []}), "no samples"),
    ],
)
def test_damaged_files(data: Path, capsys: pytest.CaptureFixture[str], damage, words: str) -> None:
    damage(data)
    assert train(data) == 2
    error = capsys.readouterr().err.splitlines()
    assert (
        error[-1].startswith("error: ")
        and words in error[-1]
        and not any("Traceback" in line for line in error)
    )
    assert not list((data.parent / "run").glob("*.safetensors"))


def test_a_bad_sample_is_skipped_if_asked_to(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    nan_pose(data / SUBJECT.format("smpl_param"))
    with caplog.at_level(logging.WARNING):
        assert train(data, "--set", "RUN.skip_bad=true") == 0
    assert "Human36M annotation 998" in caplog.text and "another sample takes its place" in caplog.text


def test_a_missing_picture_is_named_and_skipped_if_asked_to(tmp_path: Path, smpl, caplog) -> None:
    shutil.copytree(MINI / "Human36M", tmp_path / "Human36M", copy_function=shutil.copyfile)
    items = I2LItems(Human36M(tmp_path / "Human36M", "train", smpl), Preparation("body", smpl))
    gone = items.samples[1]
    gone.image_path.unlink()
    mix = GroupMix([[len(items)], []])
    with pytest.raises(InputError, match=f"Human36M sample {gone.sample_id}: .* does not exist"):
        Batches([items], mix, len(items), seed=0)(0)
    assert len(Batches([items], mix, len(items), seed=0, skip_bad=True)(0)["img"]) == len(items)
    assert f"Human36M sample {gone.sample_id}" in caplog.text


def test_too_few_samples(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (("--set", "RUN.limit=1"), ("--set", "TRAIN.batch_size=1")):
        assert train(data, *more) == 2
        assert "batch normalisation needs two" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("regressor", "words"),
    [
        (np.zeros((17, 41)), "of this mesh has shape (17, 42)"),
        (np.zeros((16, 42)), "of this mesh has shape (17, 42)"),
        (np.full((17, 42), np.nan), "not finite"),
        (np.zeros((17, 42), int), "int64"),
    ],
)
def test_a_regressor_of_another_mesh(
    data: Path, capsys: pytest.CaptureFixture[str], regressor: np.ndarray, words: str
) -> None:
    file = data.parent / "regressor.npy"
    np.save(file, regressor)
    assert train(data, "--regressor", f"human36={file}") == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    # The same file where the original keeps it.
    shutil.copyfile(file, data / "Human36M" / "J_regressor_h36m_correct.npy")
    assert train(data) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_regressor_options(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, words in (
        ("human36", "has no '='"),
        ("spine=x.npy", "['coco', 'human36'] can be added"),
        ("coco=x.npy", "x.npy"),
    ):
        assert train(data, "--regressor", option) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]
    # A given regressor is the one that is used: with all joints in one place the error after the epoch is
    # that of nothing.
    file = data.parent / "regressor.npy"
    np.save(file, BODY.joint_regressors["human36"][[0] * 17])
    assert train(data, "--regressor", f"human36={file}") == 0
    given = json.loads((data.parent / "run" / "metrics.jsonl").read_text())["joint"]
    shutil.rmtree(data.parent / "run")
    assert train(data) == 0
    assert json.loads((data.parent / "run" / "metrics.jsonl").read_text())["joint"] != given
