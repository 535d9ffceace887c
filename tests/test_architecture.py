"""The rooms of the house: who may import whom, and how large a file may get."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "openhmr"
RUNTIME = {"numpy", "onnxruntime", "PIL", "cv2", "tqdm", "openhmr"}

ROOMS = (
    "errors", "arguments", "joints", "geometry", "camera", "keypoints", "io", "bodies", "render",
    "people", "sequence", "predict", "models", "pipeline", "follow", "export", "serve", "openhmr", "batch",
    "lab.config", "lab.device", "lab.precision", "lab.skinning", "lab.run_folder",
    "lab.graphs", "lab.crops", "lab.metrics", "lab.anny", "lab.data", "lab.synth", "lab.items", "lab.models",
    "lab.evaluation", "lab.training", "lab.export", "lab.cli",
    "cli", "__main__",
)  # fmt: skip
"""From the ground up: a module imports its own room and those below. "openhmr" is the package's front door,
``__init__.py``; a single file beside the folders is a room of its own."""


def is_below(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(module: str) -> str:
    """The room of ``openhmr.a.b.c``."""
    inside = module.removeprefix("openhmr").removeprefix(".")
    if inside in ("", "lab"):
        return "openhmr"
    found = [room for room in ROOMS if is_below(inside, room)]
    assert found, f"{module} lies in no room of ROOMS; give its folder a place there"
    return max(found, key=len)


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, in functions too; of ``from package import module`` the module."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path} imports relatively"
            names |= {m if (m := f"{node.module}.{a.name}") in MODULES else node.module for a in node.names}
    return names


def own_imports(module: str) -> Iterator[str]:
    """Of those, the package's own."""
    for name in imports(MODULES[module]):
        if name.split(".")[0] == "openhmr" and name != module:
            yield name


def test_rooms_import_only_rooms_below() -> None:
    """So there is no circle between rooms, and no arrow runs back up."""
    wrong = [
        f"{module} ({room_of(module)}) imports {name} ({room_of(name)})"
        for module in MODULES
        for name in own_imports(module)
        if ROOMS.index(room_of(name)) > ROOMS.index(room_of(module))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circle_between_files() -> None:
    done: set[str] = set()

    def walk(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above, module))
        if module not in done:
            for name in own_imports(module):
                walk(name, (*above, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())


def test_networks_and_datasets_do_not_know_each_other() -> None:
    """What joins them lives in ``items``."""
    data, networks = ("lab.data", "lab.synth", "lab.items"), ("lab.models",)
    for module in MODULES:
        for some, others in ((data, networks), (networks, data)):
            if room_of(module) in some:
                assert not {room_of(n) for n in own_imports(module)} & set(others), module


def test_runtime_imports_only_the_runtime() -> None:
    for module, path in MODULES.items():
        if is_below(module, "openhmr.lab"):
            continue
        for name in imports(path):
            top = name.split(".")[0]
            assert top in RUNTIME or top in sys.stdlib_module_names, f"{path} imports {name}"
            # Only the commands may reach for the laboratory, lazily.
            assert not is_below(name, "openhmr.lab") or is_below(module, "openhmr.cli"), (
                f"{path} imports {name}"
            )


def test_files_are_short() -> None:
    """Files that one can hold in mind; the empty ones do not count."""
    for folder in ("src", "tests", "benchmarks", "examples"):
        lines = {p: len(p.read_text().splitlines()) for p in (ROOT / folder).rglob("*.py")}
        assert not {p: n for p, n in lines.items() if n > 400}
        if folder == "src":
            assert statistics.median(n for n in lines.values() if n) < 120


def test_importing_has_no_effect() -> None:
    code = "import sys, openhmr; assert not {'torch', 'onnxruntime', 'cv2', 'PIL'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
