"""The numbered examples run, say something, and write what they promise, nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBERED = sorted(EXAMPLES.glob("0*.py"))
WRITTEN = {
    "01": {"overlay.png", "result.npz"},
    "02": {"overlay.png", "result.npz"},
    "03": {"overlay.png"},
    "04": {"overlay.png", "mesh.glb"},
    "05": {f"frame_{i:02d}" for i in range(10)},
}


@pytest.mark.parametrize("example", NUMBERED, ids=lambda p: p.stem)
def test_example(example: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-W", "error", str(example), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and not done.stderr
    assert {p.name for p in (tmp_path / "out").iterdir()} == WRITTEN[example.name[:2]]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_examples_are_five_and_short() -> None:
    assert {p.name[:2] for p in NUMBERED} == set(WRITTEN)
    for example in NUMBERED:
        assert len(example.read_text(encoding="utf-8").splitlines()) <= 55, example.name
