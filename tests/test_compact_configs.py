"""Configs of the compact Pose2Mesh, and run folders that hold none."""

import dataclasses
from pathlib import Path

import pytest

from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.lab.config import build, override, read_yaml
from openhmr.lab.synth.noise2d import TRAINING
from openhmr.lab.training.compact_pose2mesh import CompactPose2MeshRun


def test_shipped_presets_are_valid() -> None:
    config = build(CompactPose2MeshRun, override(read_yaml("compact_pose2mesh"), ["motion=x.npz"]))
    assert config.stage1.steps > 0 and config.joint_set == "points" and "halpe26" in config.skeletons
    alone = ["motion=x.npz", "joint_set=coco", "skeletons=[]"]
    config = build(CompactPose2MeshRun, override(read_yaml("compact_pose2mesh"), alone))
    assert config.joint_set == "coco" and config.skeletons == ()


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["stage1.stepz=3"], "did you mean stage1.steps"),
        (["stage1.steps=many"], "must be of type int"),
        (["noise=3"], "group of keys"),
        (["nonsense"], "has no '='"),
        (["cameras.off_centre=[1]"], "list of 2 values"),
        (["skeletons=[coco, dog]"], "joint set 'dog' is not one of"),
        (["skeletons=[mano]"], "'mano' has joints that are no known points"),
    ],
)
def test_wrong_configs_are_refused(assignments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(CompactPose2MeshRun, override(read_yaml("compact_pose2mesh"), ["motion=x.npz", *assignments]))


def test_missing_config_and_key() -> None:
    with pytest.raises(InputError, match="presets"):
        read_yaml("nothing")
    with pytest.raises(InputError, match="lacks motion"):
        build(CompactPose2MeshRun, read_yaml("compact_pose2mesh"))


def test_yaml_that_is_no_config(tmp_path: Path) -> None:
    for content in (b"[" * 5000, b"a: 2020-13-45", b"\xff\xfe\xff", b"1: 2", b"- a", b"a: [", b""):
        (tmp_path / "a.yml").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.yml (is not YAML|holds)"):
            read_yaml(tmp_path / "a.yml")
    for value in ("[" * 5000, "{", "2020-13-45"):
        with pytest.raises(InputError, match="is not YAML"):
            override({}, [f"a={value}"])


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b"5", "is damaged"),
        (b"\xff\xfe{}", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"{}", "lacks a joint_set or the model's settings"),
        (b'{"recipe": "i2l"}', "lacks the folder of validation pictures or the model's settings"),
        (b'{"joint_set": []}', "lacks a joint_set or the model's settings"),
        (b'{"system": 1}', "is damaged"),
    ],
)
def test_damaged_run_folders_are_refused(
    tmp_path: Path, content: bytes, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stage1").mkdir()
    for state in (tmp_path / "state.safetensors", tmp_path / "stage1" / "state.safetensors"):
        state.touch()
    (tmp_path / "config.json").write_bytes(content)
    assert main(["lab", "export", str(tmp_path), "--out", str(tmp_path / "x.onnx")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and cause in said and not (tmp_path / "x.onnx").exists()


def test_a_group_that_names_one_key_keeps_the_other_defaults_of_its_owner() -> None:
    recipe = build(
        CompactPose2MeshRun, {"joint_set": "coco", "motion": "x.npz", "noise": {"drop_share": 0.5}}
    )
    assert recipe.noise == dataclasses.replace(TRAINING, drop_share=0.5)
