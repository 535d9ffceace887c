"""Mesh files parsed back (GLB: test_glb.py)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.export.obj import write_obj
from openhmr.people import People
from tests.test_people import make_people

Y_UP = np.array([1, -1, -1])


@pytest.fixture
def people(tiny_body: Body) -> People:
    people = make_people(tiny_body, 2)
    assert people.rig is not None
    rest = replace(
        people.rig,
        pose=0 * people.rig.pose + ([np.pi, 0, 0] * np.eye(24, 1, dtype=np.float32)),
        betas=0 * people.rig.betas,
    )
    return replace(people, rig=rest).parametric()


def test_obj(tmp_path: Path, people: People) -> None:
    write_obj(tmp_path / "m.obj", people)
    lines = [line.split() for line in (tmp_path / "m.obj").read_text().splitlines()]
    assert [words[1] for words in lines if words[0] == "o"] == ["person_0", "person_10"]
    vertices = np.array([words[1:] for words in lines if words[0] == "v"], float)
    assert_allclose(vertices, people.vertices.reshape(-1, 3) * Y_UP, atol=1e-5)
    faces = np.array([words[1:] for words in lines if words[0] == "f"], int) - 1
    assert_array_equal(faces, np.concatenate([people.faces, people.faces + 42]))
