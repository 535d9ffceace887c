"""What a run folder says of itself: written, read in its old and new form, and held against a new run."""

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from openhmr.errors import InputError
from openhmr.lab.run_folder import begin_run, read_run, weights_file
from tests.conftest import make_tiny_body

BODY = make_tiny_body()
OTHER = replace(BODY, v_template=BODY.v_template + 1)


@dataclass(frozen=True)
class Model:
    hidden: int = 8
    added_later: int = 3


@dataclass(frozen=True)
class Config:
    joint_set: str = "coco"
    lr: float = 0.1
    pair: tuple[int, int] = (1, 2)
    model: Model = field(default_factory=Model)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    begin_run(tmp_path, "compact_pose2mesh", Config(), BODY, precision="bf16")
    run = read_run(tmp_path)
    assert run.system == "compact_pose2mesh" and run.config["model"]["hidden"] == 8
    assert run.config["pair"] == [1, 2] and run.facts["precision"] == "bf16"
    assert "torch" in run.facts["versions"] and "threads" in run.facts["machine"]


@pytest.mark.parametrize(
    ("content", "system"),
    [
        ({"joint_set": "coco", "recipe": "pose2mesh", "torch": "2"}, "compact_pose2mesh"),
        ({"joint_set": "coco"}, "compact_pose2mesh"),
        ({"recipe": "i2l", "validation": "x"}, "compact_i2l"),
    ],
)
def test_older_compact_runs_are_read(tmp_path: Path, content: dict, system: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    run = read_run(tmp_path)
    assert run.system == system and run.config == content


def test_older_runs_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys that are new since then are no other network and no change."""
    older = {"joint_set": "coco", "lr": 0.1, "pair": [1, 2], "model": {"hidden": 8}, "torch": "2"}
    (tmp_path / "config.json").write_text(json.dumps(older))
    (tmp_path / "state.safetensors").touch()
    begin_run(tmp_path, "compact_pose2mesh", Config(), BODY)
    assert not caplog.text and read_run(tmp_path).facts["body"] == BODY.content_hash()


def test_changed_settings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin_run(tmp_path, "compact_pose2mesh", Config(), BODY)
    begin_run(tmp_path, "compact_pose2mesh", replace(Config(), lr=0.3), BODY)
    assert not caplog.text  # nothing is trained yet
    (tmp_path / "stage1").mkdir()
    (tmp_path / "stage1" / "state.safetensors").touch()
    with caplog.at_level(logging.WARNING):
        begin_run(tmp_path, "compact_pose2mesh", replace(Config(), lr=0.2, pair=(1, 3)), BODY)
    assert "goes on with changed settings: lr 0.3 -> 0.2, pair [1, 2] -> [1, 3]" in caplog.text


@pytest.mark.parametrize(
    ("system", "config", "body", "said"),
    [
        ("compact_i2l", Config(), BODY, "system 'compact_pose2mesh', not 'compact_i2l'"),
        ("compact_pose2mesh", Config(joint_set="human36"), BODY, "joint_set 'coco', not 'human36'"),
        ("compact_pose2mesh", Config(model=Model(9)), BODY, "model.hidden 8, not 9"),
        ("compact_pose2mesh", Config(), OTHER, f"body {BODY.content_hash()!r}, not {OTHER.content_hash()!r}"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, system: str, config: Config, body, said: str) -> None:
    begin_run(tmp_path, "compact_pose2mesh", Config(), BODY)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(InputError, match="run of another network") as refusal:
        begin_run(tmp_path, system, config, body)
    assert said in str(refusal.value) and (tmp_path / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("5", "is damaged"),
        ("{", "is damaged"),
        ('{"system": "pose2mesh"}', "is damaged"),
        ('{"system": "pose2mesh", "config": 3}', "is damaged"),
        ('{"system": ["x"], "config": {}}', r"system \['x'\]; known are compact_pose2mesh"),
        (None, "it has no config.json"),
    ],
)
def test_damaged_folders_are_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=said):
        read_run(tmp_path)


def test_weights_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of final"):
        weights_file(tmp_path)
    for name in ("last", "best", "final"):
        (tmp_path / f"{name}.safetensors").touch()
        assert weights_file(tmp_path).name == f"{name}.safetensors"
    with pytest.raises(InputError, match="nowhere does not exist"):
        weights_file(tmp_path / "nowhere")
