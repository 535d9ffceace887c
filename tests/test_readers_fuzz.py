"""Body files that are damaged, random, or programs: a body or one sentence, never anything else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.bodies.body import Body
from openhmr.bodies.readers import read_body
from openhmr.errors import InputError
from tests.test_readers import dump, small


def valid_contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    arrays = {
        k: v[:4] if k in ("v_template", "shapedirs", "posedirs", "weights") else v for k, v in small().items()
    }
    arrays |= {"J_regressor": arrays["J_regressor"][:, :4], "f": arrays["f"][:3] % 4}
    path = tmp_path_factory.mktemp("fuzz") / "x.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    contents = [dump(arrays, 0), dump(arrays, 2, python2=True), dump(arrays, 5), path.read_bytes()]
    read_body(path)
    read_body(path).save(path)
    return [*contents, path.read_bytes()]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return valid_contents(tmp_path_factory)


def expect_body_or_input_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        body = read_body(path)
    except InputError as error:
        assert str(error)
    else:
        assert isinstance(body, Body)


fuzz = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(
    which=st.integers(0, 4),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.floats(0, 1),
)
def test_damaged_files(
    contents: list[bytes], tmp_path: Path, which: int, edits: list[tuple[float, int]], end: float
) -> None:
    content = bytearray(contents[which])
    for place, value in edits:
        # Squaring prefers the beginning, where structure is denser.
        content[int(place**2 * len(content))] = value
    cut = len(content) if end > 0.3 else int(end / 0.3 * len(content))
    expect_body_or_input_error(tmp_path / "model", bytes(content[:cut]))


@fuzz
@given(st.binary(max_size=200))
def test_random_bytes(tmp_path: Path, content: bytes) -> None:
    expect_body_or_input_error(tmp_path / "model", content)


OPCODES = [bytes([b]) for b in b"()].0123tlds}abceghijopqruR\x80\x81\x85\x86\x87\x8c\x8f\x90\x91\x93\x94"]
NAMES = [
    *(
        b"c" + name
        for name in (b"numpy\nndarray\n", b"numpy\ndtype\n", b"copy_reg\n_reconstructor\n", b"chumpy\nCh\n")
    ),
    b"S'x'\n",
    b"I3\n",
    b"N",
    b"K\x01",
]


@fuzz
@given(st.lists(st.sampled_from(OPCODES + NAMES), max_size=40))
def test_random_programs(tmp_path: Path, parts: list[bytes]) -> None:
    expect_body_or_input_error(tmp_path / "model", b"".join(parts) + b".")
