"""The two halves: what imports what, and what an installed wheel can do without torch."""

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "openhmr"
RUNTIME = {"numpy", "onnxruntime", "PIL", "cv2", "openhmr"}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


def test_runtime_imports_only_the_runtime() -> None:
    for path in SOURCE.rglob("*.py"):
        if "lab" in path.relative_to(SOURCE).parts:
            continue
        for name in imports(path):
            top = name.split(".")[0]
            assert top in RUNTIME or top in sys.stdlib_module_names, f"{path} imports {name}"
            # Only the command line may reach for the laboratory, lazily.
            assert not name.startswith("openhmr.lab") or path.name == "cli.py", f"{path} imports {name}"


def test_networks_and_datasets_do_not_know_each_other() -> None:
    for path in (SOURCE / "lab" / "models").rglob("*.py"):
        # What a sample is and how noisy a 2D pose is they may know (design: data.types -> models), where it
        # comes from not.
        known = imports(path) - {"openhmr.lab.data.types", "openhmr.lab.data.noise"}
        assert not any(
            n.startswith(("openhmr.lab.data", "openhmr.lab.synth", "openhmr.lab.training")) for n in known
        ), path
    for folder in ("data", "synth"):
        for path in (SOURCE / "lab" / folder).rglob("*.py"):
            assert not any(
                n.startswith(("openhmr.lab.models", "openhmr.lab.training")) for n in imports(path)
            ), path


def test_importing_has_no_effect() -> None:
    code = "import sys, openhmr; assert not {'torch', 'onnxruntime', 'cv2', 'PIL'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(out),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("openhmr-*.whl"))


def test_wheel_is_small_and_runs_the_demo_without_torch(wheel: Path, tmp_path: Path) -> None:
    """Installed in an environment that holds the runtime's dependencies and nothing of the laboratory."""
    assert wheel.stat().st_size < 80e6
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    # The dependencies themselves are linked in from this environment, so that the test needs no network.
    own = Path(os.path.dirname(os.path.dirname(__import__("numpy").__file__)))
    for name in (
        "numpy",
        "numpy.libs",
        "onnxruntime",
        "PIL",
        "pillow.libs",
        "cv2",
        "opencv_python_headless.libs",
        "flatbuffers",
    ):
        if (own / name).exists():
            (site / name).symlink_to(own / name)
    pose = ROOT / "examples" / "coco_skier.json"
    code = (
        "import sys; from openhmr.cli import main; code = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules and 'scipy' not in sys.modules; sys.exit(code)"
    )
    out = tmp_path / "out"
    command = [str(python), "-I", "-c", code, "lift", str(pose), "--joints", "coco", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} == {
        "mesh.obj",
        "mesh.glb",
        "result.npz",
        "pose2d.png",
        "overlay.png",
    }
    missing = subprocess.run([*command[:4], "lab", "test"], capture_output=True, text=True)
    assert (
        missing.returncode == 2
        and missing.stderr.startswith("error: ")
        and "openhmr[train]" in missing.stderr
    )
