"""Commands of the laboratory that join parts tested elsewhere: their options reach what they name."""

import json
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.cli import main
from openhmr.lab.cli import parser


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Two frames of two views with detections alone."""
    rng = np.random.default_rng(0)
    body = np.array([[0, -1.6], [0.2, -1.4], [-0.2, -1.4], [0.15, 0], [-0.15, 0]]).repeat([5, 3, 3, 4, 4], 0)
    np.savez(
        tmp_path / "pack.npz",
        item_ids=np.array(["a", "b"]),
        joint_names=np.arange(19).astype(str),
        det2d_px=500 + 120 * body + rng.normal(size=(2, 19, 2)) * 20,
        det2d_score=np.full((2, 19), 0.9),
        view=np.array([0, 1]),
        groups=np.array(["left", "right"]),
        K=np.tile(np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]]), (2, 1, 1)),
        image_size_wh=np.array([[1000, 1000], [1000, 1000]]),
    )
    return tmp_path / "pack.npz"


def test_real_takes_the_packs_cameras_or_given_ones(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pack.parent

    def predicted(*more: str) -> np.ndarray:
        assert main(["lab", "real", str(pack), "--out", str(folder / "out.npz"), *more]) == 0
        assert "2 items" in capsys.readouterr().out
        with np.load(folder / "out.npz") as file:
            return np.stack([file["a"], file["b"]])

    camera = {"K": [[2000, 0, 500], [0, 2000, 500], [0, 0, 1]], "image_size": [1000, 1000]}
    (folder / "cameras.json").write_text(json.dumps({"left": camera, "right": camera}))
    own, other = predicted(), predicted("--camera", str(folder / "cameras.json"))
    assert own.shape == (2, 19, 3) and (other[..., 2].mean() > 1.5 * own[..., 2].mean())
    (folder / "cameras.json").write_text(json.dumps({"left": camera, "middle": camera}))
    words = ["lab", "real", str(pack), "--out", str(folder / "x.npz"), "--camera"]
    assert main([*words, str(folder / "cameras.json")]) == 2
    assert "lack 'right'" in capsys.readouterr().err


def test_a_compact_run_has_no_official_form(
    tmp_path: Path, tiny_body: Body, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_body.save(tmp_path / "body.npz")
    (tmp_path / "config.json").write_text(json.dumps({"joint_set": "coco", "torch": "2"}))
    words = ["export-official", str(tmp_path), "--body", str(tmp_path / "body.npz")]
    assert main(["lab", *words, "--out", str(tmp_path / "x.pth.tar")]) == 2
    assert "is a run of system compact_pose2mesh" in capsys.readouterr().err


def test_every_command_explains_itself() -> None:
    """Help of all commands can be made, and every command has a function."""
    top = parser()
    todo = [top]
    while todo:
        one = todo.pop()
        assert one.format_help()
        inner = [a for a in one._actions if isinstance(a.choices, dict)]
        todo += [p for a in inner for p in a.choices.values()]
        assert inner or callable(one.get_default("run")), one.prog
