"""The commands on official configs, from files to files: I2L-MeshNet and Pose2Mesh on miniature trees of
their data sets."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.bodies.body import Body
from openhmr.cli import main
from openhmr.lab.config import PRESETS, build
from openhmr.lab.models.checkpoint import read_checkpoint
from openhmr.lab.training.official_configs import I2LConfig
from openhmr.lab.training.official_i2l import I2LRecipe
from openhmr.predict.lift import Lifter
from openhmr.predict.recover import Recoverer
from tests import pose_trees
from tests.test_data_recorded import MINI, gendered, smpl  # noqa: F401 (fixtures)
from tests.test_skinning import synthetic_body


@pytest.fixture(scope="module")
def bodies(smpl: Body, gendered: dict, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name the body models; the regressors are in the files."""
    folder, options = tmp_path_factory.mktemp("bodies"), []
    for option, gender in (("--body", "neutral"), ("--female", "female"), ("--male", "male")):
        path = folder / f"{gender}.npz"
        replace(gendered[gender], joint_regressors=smpl.joint_regressors).save(path)
        options += [option, str(path)]
    return options


def run(*words: object) -> None:
    assert main(["lab", *map(str, words)]) == 0


NARROW = ["--set", "MODEL.posenet_hidden=32"]
SMALL = [
    "--set",
    "resnet_type=18",
    "--set",
    "head_channels=4",
    "--set",
    "num_thread=0",
    "--set",
    "train_batch_size=2",
    "--set",
    "RUN.limit=1",
]


def test_i2l_meshnet_from_files_to_files(bodies, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lixel, param = tmp_path / "lixel", tmp_path / "param"
    config, data = "i2l_lixel_train_human36_muco_coco", ["--data", MINI, *bodies, *SMALL]
    run("train", config, *data, "--set", "end_epoch=1", "--out", lixel)
    facts = json.loads((lixel / "config.json").read_text())
    assert (
        facts["system"] == "i2l_meshnet"
        and facts["config"]["RUN"]["seed"] == 123
        and "torch" in facts["versions"]
    )
    row = json.loads((lixel / "metrics.jsonl").read_text())
    assert row["epoch"] == 1 and row["step"] == 2 and row["mpjpe_lixel"] > 0 and 0 <= row["waiting"] <= 1
    run("train", config, *data, "--set", "end_epoch=1", "--out", lixel)  # finished: nothing is left to do
    assert len((lixel / "metrics.jsonl").read_text().splitlines()) == 1
    more = ["--set", "end_epoch=2", "--set", f"continue_from={lixel}"]
    run("train", config.replace("lixel", "param"), *data, *more, "--out", param)
    capsys.readouterr()
    run(
        "test",
        "i2l_param_test_human36",
        *data[:-2],
        "--set",
        "RUN.limit=0",
        "--weights",
        param,
        "--out",
        tmp_path / "test",
    )
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == [
        f"{metric} from {mesh} mesh" for mesh in ("lixel", "param") for metric in ("MPJPE", "PA MPJPE")
    ]
    with (tmp_path / "test" / "Human36M-param.csv").open() as file:
        # Both are rounded to hundredths, from sums in another order.
        stored = [float(r["value"]) for r in csv.DictReader(file)]
        assert stored == pytest.approx([float(line.split()[-2]) for line in printed], abs=0.011)
    official, again = tmp_path / "snapshot_1.pth.tar", tmp_path / "again"
    run("export-official", param, *bodies, "--out", official)
    run("import", official, *bodies, "--out", again)
    assert "i2l_meshnet, 29 joints, epoch 1" in capsys.readouterr().out
    (state, info), (kept, own) = (read_checkpoint(folder / "final.safetensors") for folder in (again, param))
    assert (
        info == own and state.keys() == kept.keys() and all(torch.equal(v, kept[k]) for k, v in state.items())
    )
    run("export", again, *bodies, "--out", tmp_path / "net.onnx")
    body = Body.load(bodies[1])
    recovered = Recoverer(tmp_path / "net.onnx", body)(
        np.zeros((300, 300, 3), np.uint8), [[50, 20, 120, 240]]
    )
    assert recovered.vertices.shape == (1, 6890, 3) and np.isfinite(recovered.vertices).all()


def test_hands_from_files_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both systems on FreiHAND: no errors without the server's truth, its file, and its scores where the
    truth is given."""
    hand = synthetic_body(True)
    hand.save(tmp_path / "hand.npz")
    pose_trees.freihand(tmp_path / "data" / "FreiHAND")
    body = ["--body", tmp_path / "hand.npz", "--cache", tmp_path / "cache"]
    lift = [
        "--data",
        tmp_path / "data",
        *body,
        *NARROW,
        "--set",
        "DATASET.workers=0",
        "--set",
        "TRAIN.batch_size=2",
        "--set",
        "RUN.limit=4",
    ]
    more = ["--set", "TRAIN.end_epoch=2", "--set", "MODEL.posenet_pretrained=false"]
    run("train", "pose2mesh_manoJ_train_freihand", *lift, *more, "--out", tmp_path / "lift")
    # An error of zero makes no best checkpoint.
    assert not (tmp_path / "lift" / "best.safetensors").exists()
    run(
        "test",
        "pose2mesh_manoJ_test_freihand",
        *lift,
        "--weights",
        tmp_path / "lift",
        "--out",
        tmp_path / "test",
    )
    joints, meshes = (np.array(part) for part in json.loads((tmp_path / "test" / "pred.json").read_text()))
    assert (
        joints.shape[1:] == (21, 3) and meshes.shape[1:] == (778, 3) and np.ptp(meshes) > 10
    )  # mm, as officially
    assert (tmp_path / "test" / "FreiHAND-000000.obj").exists()  # TEST.vis
    truth = tmp_path / "truth"
    truth.mkdir()
    for name, points in (("xyz", joints), ("verts", meshes)):
        (truth / f"evaluation_{name}.json").write_text(json.dumps((points / 1000).tolist()))
    capsys.readouterr()
    run(
        "test",
        "pose2mesh_manoJ_test_freihand",
        *lift,
        "--weights",
        tmp_path / "lift",
        "--truth",
        truth,
        "--out",
        tmp_path / "again",
    )
    assert "F@5: 1.000" in capsys.readouterr().out.splitlines()

    config = build(
        I2LConfig,
        {
            "trainset_3d": ["FreiHAND"],
            "trainset_2d": [],
            "testset": "FreiHAND",
            "resnet_type": 18,
            "head_channels": 4,
        },
    )
    I2LRecipe(config, hand, [], [], None).save(tmp_path / "i2l.safetensors")
    image = [
        "--data",
        MINI,
        *body,
        *SMALL[:6],
        "--weights",
        tmp_path / "i2l.safetensors",
        "--out",
        tmp_path / "image",
    ]
    run("test", "i2l_lixel_test_freihand", *image)
    joints, meshes = (np.array(part) for part in json.loads((tmp_path / "image" / "pred.json").read_text()))
    assert joints.shape == (3, 21, 3) and meshes.shape == (3, 778, 3) and meshes[..., 2].min() > 0
    I2LRecipe(replace(config, stage="param"), hand, [], [], None).save(tmp_path / "i2l.safetensors")
    sizes = []
    for switch in ("true", "false"):
        run("test", "i2l_param_test_freihand", *image, "--set", f"QUIRKS.hand_param_mm={switch}")
        sizes.append(np.ptp(json.loads((tmp_path / "image" / "pred.json").read_text())[1], axis=1))
    np.testing.assert_allclose(sizes[0], 1000 * sizes[1], rtol=1e-4)


def human36m_tree(root: Path) -> None:
    """The miniature Human3.6M with names that tell the action, frames that Pose2Mesh tests on, and
    detections; no pictures."""
    annotations, detected = root / "Human36M" / "annotations", {}
    shutil.copytree(MINI / "Human36M" / "annotations", annotations, copy_function=shutil.copyfile)
    for subject in (1, 5, 6, 7, 8, 9, 11):
        file = annotations / f"Human36M_subject{subject}_data.json"
        content = json.loads(file.read_text())
        for image in content["images"]:
            image["frame_idx"] = frame = {64: 50, 128: 100}.get(image["frame_idx"], image["frame_idx"])
            image["file_name"] = (
                f"s_{subject:02d}_act_02_subact_01_ca_{image['cam_idx']:02d}/{subject}_{frame:06d}_{image['cam_idx']}.jpg"
            )
            if subject > 8 and frame % 50 == 0:
                detected[image["file_name"]] = (
                    np.random.default_rng(image["id"]).uniform(100, 900, (17, 2)).tolist()
                )
        file.write_text(json.dumps(content))
        for what in ("joint_3d", "smpl_param"):
            other = annotations / f"Human36M_subject{subject}_{what}.json"
            other.write_text(other.read_text().replace('"64":', '"50":').replace('"128":', '"100":'))
    (root / "Human36M" / "absnet_output_on_testset.json").write_text(json.dumps(detected))


def test_pose2mesh_from_files_to_files(tiny_body, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    human36m_tree(tmp_path / "data")
    tiny_body.save(tmp_path / "body.npz")
    body = ["--body", tmp_path / "body.npz", "--cache", tmp_path / "cache"]
    common = ["--data", tmp_path / "data", *body, *NARROW]
    common += ["--set", "DATASET.workers=0", "--set", "TRAIN.batch_size=3"]
    stage1, stage2 = tmp_path / "posenet", tmp_path / "pose2mesh"
    run("train", "posenet_human36J_train_human36", *common, "--set", "TRAIN.end_epoch=2", "--out", stage1)
    more = [
        "--set",
        "TRAIN.end_epoch=3",
        "--set",
        "TRAIN.edge_loss_start=1",
        "--set",
        f"MODEL.posenet_path={stage1}",
    ]
    run("train", "pose2mesh_human36J_train_human36", *common, *more, "--out", stage2)
    rows = [json.loads(line) for line in (stage2 / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3] and all(
        row["surface"] > 0 and row["joint"] > 0 for row in rows
    )
    for config, weights, count in (("posenet", stage1, 2), ("pose2mesh", stage2, 4)):
        capsys.readouterr()
        run(
            "test",
            f"{config}_human36J_test_human36",
            *common,
            "--weights",
            weights,
            "--out",
            tmp_path / "test",
        )
        lines = capsys.readouterr().out.splitlines()
        assert (
            lines[0] == "Evaluation start..."
            and sum(line.startswith("Protocol 2 ") for line in lines) == count
        )
        assert lines[2].startswith("Directions: ") and "Discussion: nan" in lines[2]
    # The error of an epoch has the same joints and root as the final one.
    table = {
        (r["error"], r["subset"]): r["value"]
        for r in json.loads((tmp_path / "test" / "Human36M.json").read_text())
    }
    assert table["H36M pose error (MPJPE)", "all"] == pytest.approx(rows[-1]["joint"], abs=1e-3)
    official, again = tmp_path / "final.pth.tar", tmp_path / "again"
    run("export-official", stage1, *body, "--out", tmp_path / "stage1.pth.tar")
    run("import", tmp_path / "stage1.pth.tar", *body, "--out", tmp_path / "stage1")
    assert "posenet, 17 joints, epoch 1" in capsys.readouterr().out
    run("export-official", stage2, *body, "--out", official)
    run("import", official, *body, "--joints", "human36", "--out", again)
    assert "pose2mesh, 17 joints, epoch 2" in capsys.readouterr().out
    (state, info), (kept, own) = (read_checkpoint(folder / "final.safetensors") for folder in (again, stage2))
    assert info == own and all(torch.equal(v, kept[k]) for k, v in state.items())
    run("export", again, *body, "--out", tmp_path / "net.onnx")
    pose = np.random.default_rng(0).uniform(100, 300, (17, 2))
    assert np.isfinite(Lifter(tmp_path / "net.onnx", tiny_body)(pose).vertices).all()
    other = replace(tiny_body, faces=tiny_body.faces[:, ::-1], v_template=tiny_body.v_template + 1)
    other.save(tmp_path / "other.npz")
    assert (
        main(
            [
                "lab",
                "export",
                str(again),
                "--body",
                str(tmp_path / "other.npz"),
                "--out",
                str(tmp_path / "no.onnx"),
            ]
        )
        == 2
    )
    assert "made for body" in capsys.readouterr().err and not (tmp_path / "no.onnx").exists()
    assert (
        main(
            [
                "lab",
                "import",
                str(official),
                "--body",
                str(tmp_path / "body.npz"),
                "--joints",
                "coco",
                "--out",
                "x",
            ]
        )
        == 2
    )
    assert "is for 17 joints, --joints says coco" in capsys.readouterr().err


def test_every_preset_is_listed_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run("configs")
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == sorted(p.stem for p in PRESETS.glob("*.yml"))
    assert all(len(line.split()) > 3 for line in lines if line.startswith("  "))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "posenet_human36J_train_human", "--out", "x"], "posenet_human36J_train_human36"),
        (
            ["train", "posenet_human36J_train_human36", "--out", "x", "--set", "TRAIN.lr_stepp=[1]"],
            "did you mean TRAIN.lr_step",
        ),
        (
            ["train", "posenet_human36J_train_human36", "--out", "x", "--set", "TRAIN.optimizer=sgd"],
            "allowed are rmsprop, adam",
        ),
        (
            ["train", "posenet_human36J_train_human36", "--out", "x", "--set", "DATASET.train_list=[H36M]"],
            "allowed are Human36M",
        ),
        (["train", "posenet_human36J_train_human36", "--out", "x"], "give --body"),
        (["test", "i2l_param_test_3dpw", "--body", "nowhere.npz"], "nowhere.npz"),
        (["test"], "nothing to test on"),
        (["import", "nowhere.pth.tar", "--out", "x"], "nowhere.pth.tar does not exist"),
        (["export-official", "nowhere", "--out", "x"], "nowhere is not a run folder"),
        (["train", "posenet_human36J_train_human36", "--out", "x", "--device", "abacus"], "one of cpu"),
    ],
)
def test_wrong_commands_say_what_to_do(words, message, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab", *words]) == 2
    error = capsys.readouterr().err
    assert (
        error.startswith("error: ")
        and message in error
        and error.count("\n") == 1
        and not list(tmp_path.iterdir())
    )
