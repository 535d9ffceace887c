"""Stand-in models as files, for tests of the commands."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from openhmr.bodies.body import Body
from openhmr.joints import JOINT_SETS
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

FILES = {"mesh.obj", "mesh.glb", "result.npz", "pose2d.png", "overlay.png"}


@dataclass
class Models:
    """Options that make commands use the tiny body and its networks."""

    body: Body
    folder: Path

    def __post_init__(self) -> None:
        self.body.save(self.folder / "body.npz")

    def lift(self, joints: str) -> list[str]:
        path = write_tiny_model(self.folder / f"{joints}.onnx", self.body, joints, JOINT_SETS[joints].size)
        return ["--model", str(path), "--body", str(self.folder / "body.npz")]

    def recover(self) -> list[str]:
        path = write_tiny_recoverer(self.folder / "recover.onnx", self.body)
        return ["--model", str(path), "--body", str(self.folder / "body.npz")]


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The error that a command printed: one line, nothing else."""
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err
