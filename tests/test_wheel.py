"""What an installed wheel holds, and can do without torch."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
    with zipfile.ZipFile(wheel) as archive:
        built = {p.name for p in (ROOT / "src/openhmr/serve/static").glob("*.*")}
        assert {f"openhmr/serve/static/{name}" for name in built} <= set(archive.namelist())
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
