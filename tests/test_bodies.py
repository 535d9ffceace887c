"""Bodies as values: nobody can change one, its hash covers it, and it gives joints by name."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies import Body, Level, open_body, read_body, skin
from openhmr.bodies.content import first_version, same_body
from openhmr.bodies.mano import mano_joint_regressor
from openhmr.errors import InputError
from openhmr.joints import COCO, COCO18, HUMAN36, MANO, SMPL
from tests.conftest import make_tiny_body
from tests.synthetic_models import model

HASHED = (
    "v_template",
    "shapedirs",
    "posedirs",
    "J_regressor",
    "weights",
    "parents",
    "faces",
    "hands_mean",
    "joint_regressors/coco",
    "coarse/vertex_ids",
    "coarse/faces",
    "coarse/values",
)


def write_model(path: Path, hand: bool = False) -> Path:
    np.savez(path, **model(3, hand))
    return path


def arrays_of(body: Body) -> Iterator[np.ndarray]:
    for f in fields(body):
        value = getattr(body, f.name)
        if isinstance(value, np.ndarray):
            yield value
    yield from body.joint_regressors.values()
    for level in body.levels.values():
        yield from (level.vertex_ids, level.faces, *(level.upsample or ()))


@pytest.fixture(params=["made", "loaded", "converted", "open", "level"])
def any_body(request: pytest.FixtureRequest, tmp_path: Path, tiny_body: Body) -> Body:
    if request.param == "loaded":
        tiny_body.save(tmp_path / "body.npz")
        return Body.load(tmp_path / "body.npz")
    if request.param == "converted":
        return read_body(write_model(tmp_path / "smpl.npz"))
    makers = {"made": lambda: tiny_body, "open": open_body, "level": lambda: open_body("coarse")}
    return makers[request.param]()


def test_no_array_can_be_written_to(any_body: Body) -> None:
    before = any_body.faces.copy()
    for array in arrays_of(any_body):
        with pytest.raises(ValueError, match="read-only"):
            array += 1
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert np.array_equal(any_body.faces, before)


def test_the_makers_own_arrays_stay_theirs(tiny_body: Body) -> None:
    """An array that its maker can still write into is copied; one that nobody can is not."""
    vertices, matrix = tiny_body.v_template.copy(), tiny_body.joint_regressors["coco"].copy()
    view = vertices[:]
    view.flags.writeable = False  # read-only, but a view of something that is not
    for given in (vertices, view):
        body = replace(tiny_body, v_template=given, joint_regressors={"coco": matrix})
        vertices[0], matrix[0] = 7, 7
        assert not (body.v_template == 7).any() and not (body.joint_regressors["coco"] == 7).any()
        vertices[0], matrix[0] = tiny_body.v_template[0], tiny_body.joint_regressors["coco"][0]
    assert replace(tiny_body).posedirs is tiny_body.posedirs


def changed(body: Body, name: str) -> Body:
    def other(array: np.ndarray) -> np.ndarray:
        """One number is another."""
        out = array.copy()
        if array is body.parents:
            out[23] -= 1
        elif out.dtype.kind == "i":
            out[0] = out[0][::-1] if out.ndim > 1 else 41
        else:
            out.flat[5] += 1e-4
        return out

    if name.startswith("coarse/"):
        level = body.level("coarse")
        assert level.upsample is not None
        rows, cols, values = level.upsample
        parts = {
            "vertex_ids": Level(other(level.vertex_ids), level.faces, level.upsample),
            "faces": Level(level.vertex_ids, other(level.faces), level.upsample),
            "values": Level(level.vertex_ids, level.faces, (rows, cols, other(values))),
        }
        return replace(body, levels={"coarse": parts[name.removeprefix("coarse/")]})
    if name == "joint_regressors/coco":
        regressors = dict(body.joint_regressors)
        return replace(body, joint_regressors=regressors | {"coco": other(regressors["coco"])})
    return replace(body, **{name: other(getattr(body, name))})


@pytest.mark.parametrize("name", HASHED)
def test_the_hash_covers_every_array_that_matters(name: str) -> None:
    body = replace(make_tiny_body(), hands_mean=np.linspace(0, 1, 69))
    text, other = body.content_hash(), changed(body, name)
    assert body.matches(text) and other.matches(other.content_hash())
    assert other.content_hash() != text and not other.matches(text) and not body.matches(other.content_hash())


def test_the_hash_does_not_depend_on_how_numbers_are_stored(tmp_path: Path) -> None:
    body = make_tiny_body()
    text = body.content_hash()
    swapped = {
        f.name: value.astype(value.dtype.newbyteorder())
        for f in fields(body)
        if isinstance(value := getattr(body, f.name), np.ndarray)
    }
    assert replace(body, **swapped).content_hash() == text
    assert replace(body, v_template=np.asfortranarray(body.v_template, np.float64)).content_hash() == text
    body.save(tmp_path / "body.npz")
    assert Body.load(tmp_path / "body.npz").content_hash() == text
    negative = np.where(body.weights == 0, np.float32(-0.0), body.weights)
    assert replace(body, weights=negative).content_hash() == text  # files store no zeros
    textured = replace(body, uv=np.zeros((3, 2)), face_uv=np.zeros_like(body.faces))
    assert textured.content_hash() == text


def test_hashes_of_older_files_are_recognised() -> None:
    """They know template and faces alone; the open body is no longer that of version 1."""
    square = np.arange(12).reshape(4, 3) / 8, np.array([[0, 1, 2], [0, 2, 3]])
    assert first_version(*square) == "ac12a43256195d6e"  # as version 1 wrote it
    first = first_version(open_body().v_template, open_body().faces)
    assert open_body().matches(first) and not make_tiny_body().matches(first)
    assert not open_body().matches("48dd4efd26887f20")
    assert not open_body().matches("") and not open_body().matches("2:") and not open_body().matches("3:a:b:")


def test_hashes_can_be_compared_without_the_bodies() -> None:
    body = make_tiny_body()
    text, bare = body.content_hash(), replace(body, joint_regressors={})
    first = text.split(":")[1]
    assert same_body(text, first) and same_body(first, text) and body.matches(first)
    # A regressor that one of the two lacks is nobody's contradiction.
    assert (
        same_body(bare.content_hash(), text) and same_body(text, bare.content_hash()) and bare.matches(text)
    )
    assert not same_body(text, changed(body, "joint_regressors/coco").content_hash())
    assert not same_body(text, "") and not same_body(first, "") and same_body("", "")


def test_joint_regressors_by_name_or_set(tiny_body: Body, tmp_path: Path) -> None:
    coco = tiny_body.joint_regressors["coco"]
    assert np.array_equal(tiny_body.joint_regressor("coco"), COCO.complete(coco))
    assert np.array_equal(tiny_body.joint_regressor(COCO18), COCO18.complete(coco))
    assert tiny_body.joint_regressor(SMPL) is tiny_body.J_regressor
    assert tiny_body.joint_regressor(HUMAN36) is tiny_body.joint_regressors["human36"]
    hand = read_body(write_model(tmp_path / "mano.npz", hand=True))
    assert np.array_equal(hand.joint_regressor(MANO), mano_joint_regressor(hand))
    _, joints = skin(hand, np.zeros((16, 3)), np.zeros(10))
    assert hand.joint_regressor("mano").shape == (21, 778) and len(joints) == 16


@pytest.mark.parametrize("name", ["mano", "muco", "smpl29"])
def test_a_body_without_a_regressor_says_which_it_has(tiny_body: Body, name: str) -> None:
    with pytest.raises(InputError, match=f"no joint regressor '{name}'; it has coco, .*smpl"):
        tiny_body.joint_regressor(name)
    with pytest.raises(InputError, match="did you mean 'human36'"):
        tiny_body.joint_regressor("human63")


def test_joint_regressors_must_be_of_the_mesh(tiny_body: Body) -> None:
    with pytest.raises(InputError, match=r"joint_regressors/coco has shape \(17, 41\).* must be \(17, 42\)"):
        replace(tiny_body, joint_regressors={"coco": np.zeros((17, 41))})
    with pytest.raises(InputError, match="joint_regressors/coco has shape"):
        replace(tiny_body, joint_regressors={"coco": np.zeros(42)})


def test_public_names_cost_nothing_until_used() -> None:
    code = (
        "import sys, openhmr.bodies as b; assert 'numpy' not in sys.modules; from openhmr.bodies import Body;"
        "assert 'openhmr.bodies.unpickle' not in sys.modules; b.read_body, b.open_body, b.skin"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    with pytest.raises(ImportError, match="cannot import name 'Boddy'"):
        from openhmr.bodies import Boddy  # type: ignore[attr-defined]  # noqa: F401
