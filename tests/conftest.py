"""Fixtures shared by all tests: a small licence-free body, and the folder of reference arrays."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from openhmr.bodies.body import Body, Level
from openhmr.joints.smpl import SMPL_PARENTS
from tests.cli_models import Models

HERE = Path(__file__).parent
# Examples are the same in every run; the thorough profile looks for new ones.
settings.register_profile("thorough", max_examples=10_000, derandomize=False)
settings.register_profile("normal", derandomize=True)
settings.load_profile("normal")
LABORATORY = re.compile(r"^\s*(?:from|import) (?:torch|scipy|yaml|safetensors|openhmr\.lab)\b", re.MULTILINE)
OWN = re.compile(r"^\s*from tests\.(\w+)", re.MULTILINE)


def _needs_the_laboratory(path: Path) -> bool:
    """Whether a module of the tests imports the laboratory or what it is built on, directly or not."""
    text = path.read_text(encoding="utf-8")
    others = (HERE / f"{name}.py" for name in OWN.findall(text))
    return bool(LABORATORY.search(text)) or any(p.exists() and _needs_the_laboratory(p) for p in others)


# Without the train extra, as an installed wheel is, only the tests of the runtime are collected.
collect_ignore = [
    p.name for p in HERE.glob("test_*.py") if not find_spec("torch") and _needs_the_laboratory(p)
]


def _icosahedron() -> tuple[np.ndarray, np.ndarray]:
    phi = (1 + 5**0.5) / 2
    pairs = [(s, t * phi) for s in (-1, 1) for t in (-1, 1)]
    vertices = np.array([np.roll((0, *p), k) for k in range(3) for p in pairs])
    near = np.isclose(np.linalg.norm(vertices[:, None] - vertices, axis=-1), 2)
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i)
        for k in range(j)
        if near[i, j] and near[j, k] and near[i, k]
    ]
    outward = [np.linalg.det(vertices[list(f)]) > 0 for f in faces]
    return vertices, np.array([f if out else f[::-1] for f, out in zip(faces, outward, strict=True)])


def _subdivide(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split each face in four: vertices, faces, and the matrix from old vertices to new ones."""
    edges = sorted(
        {(min(a, b), max(a, b)) for f in faces for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0]))}
    )
    rows = {edge: len(vertices) + i for i, edge in enumerate(edges)}
    matrix = np.concatenate([np.eye(len(vertices)), np.zeros((len(edges), len(vertices)))])
    for edge, row in rows.items():
        matrix[row, list(edge)] = 0.5
    split = []
    for a, b, c in faces:
        ab, bc, ca = (rows[min(e), max(e)] for e in ((a, b), (b, c), (c, a)))
        split += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return matrix @ vertices, np.array(split), matrix


def make_tiny_body(posedirs: bool = True) -> Body:
    """A closed ellipsoid of 42 vertices (0.5 x 1.8 x 0.3 m) with SMPL's 24 joints; all else random but fixed.

    Level ``coarse`` holds the 12 vertices that the other 30 are midpoints of.
    """
    rng = np.random.default_rng(7)
    corners, coarse_faces = _icosahedron()
    vertices, faces, up = _subdivide(corners, coarse_faces)
    vertices = vertices / np.linalg.norm(vertices, axis=-1, keepdims=True) * (0.25, 0.9, 0.15)

    def convex(n: int, total: int, terms: int) -> np.ndarray:
        out = np.zeros((n, total))
        for row in out:
            row[rng.choice(total, terms, replace=False)] = rng.dirichlet(np.ones(terms))
        return out

    rows, cols = np.nonzero(up)
    return Body(
        v_template=vertices,
        shapedirs=rng.normal(size=(42, 3, 10)) * 0.01,
        posedirs=rng.normal(size=(42, 3, 207 if posedirs else 0)) * 0.001,
        J_regressor=convex(24, 42, 6),
        weights=convex(42, 24, 4),
        parents=np.array(SMPL_PARENTS),
        faces=faces,
        joint_regressors={
            "human36": convex(17, 42, 5).astype(np.float32),
            "coco": convex(17, 42, 5).astype(np.float32),
        },
        levels={
            "coarse": Level(
                np.arange(12, dtype=np.int32),
                coarse_faces.astype(np.int32),
                (rows.astype(np.int32), cols.astype(np.int32), up[rows, cols].astype(np.float32)),
            )
        },
    )


@pytest.fixture(scope="session")
def tiny_body() -> Body:
    return make_tiny_body()


@pytest.fixture
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> Models:
    """Options of commands that choose the tiny body and its networks."""
    return Models(tiny_body, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(__file__).parent / "data"
