import io
import os
import pickle
import re
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.bodies.readers import convert, read_body
from openhmr.errors import InputError
from openhmr.io.arrays import MAX_BYTES, read_npy, read_npz
from tests.synthetic_models import model

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Stand:
    """Instances of a class that lives in a module which the reader's machine does not have."""

    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


def foreign(module: str, name: str) -> Any:
    """The class ``name`` of a ``module`` that is not there."""
    return type(name, (Stand,), {"__module__": module})


class ForeignPickler(pickle._Pickler):
    """Writes the names of foreign classes without looking for their modules."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if not issubclass(obj if isinstance(obj, type) else object, Stand):
            return super().save_global(obj, name)
        if self.proto >= 4:
            self.save(obj.__module__)
            self.save(obj.__name__)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{obj.__module__}\n{obj.__name__}\n".encode())
        self.memoize(obj)


class Python2Pickler(ForeignPickler):
    """Writes str and bytes as Python 2 wrote its strings; protocols 0 to 2."""

    def _string(self, obj: str | bytes) -> None:
        raw = obj.encode("latin-1") if isinstance(obj, str) else obj
        if self.bin:
            self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        else:
            self.write(b"S" + repr(raw)[1:].encode() + b"\n")

    dispatch = pickle._Pickler.dispatch | {str: _string, bytes: _string}


def dump(obj: object, protocol: int, python2: bool = False) -> bytes:
    out = io.BytesIO()
    (Python2Pickler if python2 else ForeignPickler)(out, protocol).dump(obj)
    # Files of that time name NumPy's old package.
    return out.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.") if python2 else out.getvalue()


def small(hand: bool = False) -> dict[str, np.ndarray]:
    """A model of few vertices: quick to write in every protocol."""
    full = model(104 if hand else 101, hand)
    keep = 60
    out = {k: full[k][:keep] for k in ("v_template", "shapedirs", "posedirs", "weights")}
    out |= {"J_regressor": full["J_regressor"][:, :keep], "kintree_table": full["kintree_table"]}
    out["f"] = (full["f"][:40] % keep).astype(np.uint32)
    return out | {k: full[k] for k in ("hands_mean", "hands_components") if k in full}


def sparse_state(dense: np.ndarray, kind: str) -> dict[str, Any]:
    if kind == "coo":
        row, col = np.nonzero(dense)
        return {
            "_shape": dense.shape,
            "row": row.astype(np.int32),
            "col": col.astype(np.int32),
            "data": dense[row, col],
        }
    by_line = dense.T if kind == "csc" else dense
    line, index = np.nonzero(by_line)
    starts = np.concatenate([[0], np.cumsum(np.bincount(line, minlength=len(by_line)))]).astype(np.int32)
    return {
        "_shape": dense.shape,
        "indices": index.astype(np.int32),
        "indptr": starts,
        "data": by_line[line, index],
    }


def check(body: Body, arrays: dict[str, np.ndarray]) -> None:
    for name in ("v_template", "shapedirs", "posedirs", "weights"):
        assert np.array_equal(getattr(body, name), arrays[name].astype(np.float32))
    np.testing.assert_allclose(body.J_regressor, arrays["J_regressor"], rtol=1e-7)
    assert np.array_equal(body.faces, arrays["f"]) and body.parents[0] == -1
    assert np.array_equal(body.parents[1:], arrays["kintree_table"][0, 1:])
    assert (body.hands_mean is None) == ("hands_mean" not in arrays)


def write(tmp_path: Path, content: bytes, name: str = "model.pkl") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("hand", [False, True], ids=["smpl", "mano"])
def test_plain_arrays(tmp_path: Path, protocol: int, hand: bool) -> None:
    arrays = small(hand)
    extra = {
        "bs_style": "lbs",
        "J": np.zeros((24, 3)),
        "pose_training_info": {1: [np.str_("x")], (2, 3): {"a"}},
        "none": None,
    }
    check(read_body(write(tmp_path, pickle.dumps(arrays | extra, protocol))), arrays)


@pytest.mark.parametrize(
    "python2,protocol", [(True, 0), (True, 1), (True, 2), (False, 0), (False, 2), (False, 4), (False, 5)]
)
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_publishers_layout(tmp_path: Path, python2: bool, protocol: int, kind: str) -> None:
    arrays: dict[str, Any] = small()
    chumpy, select = foreign("chumpy.ch", "Ch"), foreign("chumpy.reordering", "Select")
    matrix = foreign(f"scipy.sparse.{kind}", f"{kind}_matrix")
    order = np.random.default_rng(0).permutation(arrays["shapedirs"].size)
    stored = np.empty_like(arrays["shapedirs"]).ravel()
    stored[order] = arrays["shapedirs"].ravel()
    layout = arrays | {
        "v_template": chumpy(x=arrays["v_template"], _dirty_vars=set()),
        "posedirs": chumpy(x=np.asfortranarray(arrays["posedirs"])),
        "weights": arrays["weights"].astype(">f8"),
        "J_regressor": matrix(**sparse_state(arrays["J_regressor"], kind)),
        "shapedirs": select(a=chumpy(x=stored), idxs=order, preferred_shape=arrays["shapedirs"].shape),
    }
    check(read_body(write(tmp_path, dump(layout, protocol, python2))), arrays)
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix", "csc_array"])
def test_matrices_of_the_installed_scipy(tmp_path: Path, kind: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    arrays = small()
    content = dump(arrays | {"J_regressor": getattr(sparse, kind)(arrays["J_regressor"])}, 4)
    check(read_body(write(tmp_path, content)), arrays)


def test_npz(tmp_path: Path) -> None:
    arrays = small()
    objects = np.array([{"ignored": 1}], dtype=object)
    np.savez(tmp_path / "model.npz", allow_pickle=True, joint2num=objects, **arrays)  # type: ignore[arg-type]
    check(read_body(tmp_path / "model.npz"), arrays)
    np.savez(tmp_path / "model.npz", allow_pickle=True, **(arrays | {"weights": objects}))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Python objects"):
        read_body(tmp_path / "model.npz")


def test_convert(tmp_path: Path, tiny_body: Body) -> None:
    arrays, source, target = small(hand=True), tmp_path / "in.pkl", tmp_path / "out.npz"
    source.write_bytes(dump(arrays, 2))
    convert(source, target)
    check(Body.load(target), arrays)
    check(read_body(target), arrays)
    tiny_body.save(tmp_path / "tiny.npz")
    assert np.array_equal(read_body(tmp_path / "tiny.npz").weights, tiny_body.weights)
    with pytest.raises(InputError, match=r"\.npz"):
        convert(source, tmp_path / "out.pkl")
    assert not (tmp_path / "out.pkl").exists()


def call(module: str, name: str, args: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + args + b"R."


HOSTILE = {
    "os.system": call("os", "system", b"(S'echo no > run'\nt"),
    "posix.system": call("posix", "system", b"(S'echo no > run'\nt"),
    "builtins.eval": call("builtins", "eval", b"(S'1'\nt"),
    "__builtin__.getattr": call("__builtin__", "getattr", b"(]S'append'\nt"),
    "builtins.exec": b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x011\x85R.",
    "subprocess.Popen": b"(S'ls'\nisubprocess\nPopen\n.",
    "numpy.load": call("numpy", "load", b"(S'x'\nt"),
    "numpy.f2py.compile": call("numpy.f2py", "compile", b"(S'x'\nt"),
    "numpy.core.multiarray.fromstring": call("numpy.core.multiarray", "fromstring", b"(S'x'\nt"),
    "numpy.testing._private.utils.runstring": call("numpy.testing._private.utils", "runstring", b"(S'1'\n}t"),
    "copyreg.add_extension": call("copyreg", "add_extension", b"(S'a'\nS'b'\nI1\nt"),
    "copyreg._reconstructor of a function": call(
        "copyreg", "_reconstructor", b"(cos\nsystem\nc__builtin__\nobject\nNt"
    ),
    "copyreg._reconstructor of a number": call("copyreg", "_reconstructor", b"(I1\nI1\nNt"),
    "scipy.sparse.save_npz": call("scipy.sparse", "save_npz", b"(S'x'\nt"),
    "chumpyx.Ch": call("chumpyx", "Ch", b"(t"),
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "persistent id": b"Pabc\n.",
    "extension": b"\x80\x02\x82\x01.",
    "attribute of a class": b"cnumpy\nndarray\n}S'x'\nI1\nsb.",
    "call of a number": b"I1\n(tR.",
    "splatted text": b"cnumpy\nndarray\nS'abc'\nR.",
    "huge memo": b"r\xff\xff\xff\xff.",
    "huge bytes": b"\x80\x05\x8e" + b"\xff" * 7 + b"\x7f.",
    "huge bytearray": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
    "huge frame": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.",
    "huge number": b"I" + b"9" * 10000 + b"\n.",
    "nothing": b"",
    "no dict": b"(I1\nI2\nt.",
    "empty dict": b"}.",
    # Hashing this tuple of tuples takes 2^60 steps.
    "hash bomb": b"}" + b"I1\n\x85" + b"2\x86" * 60 + b"I1\ns.",
    "hash bomb in a set": b"\x80\x04\x8f(" + b"I1\n\x85" + b"2\x86" * 60 + b"\x90.",
}
SAID = {
    "copyreg._reconstructor of a function": "asks for 'os.system'",
    "copyreg._reconstructor of a number": "is a text file that begins with 'ccopyreg'",
    "dotted": "asks for 'numpy.ndarray.dump'",
    "persistent id": "is a text file that begins with 'Pabc'",
    "extension": "is no whole pickle",
    "nothing": "is empty; give the SMPL or MANO file",
    "attribute of a class": "is a text file that begins with 'cnumpy'",
    "call of a number": "is a text file that begins with 'I1'",
    "splatted text": "is a text file that begins with 'cnumpy'",
    "huge memo": "is no whole pickle",
    "huge bytes": "is no whole pickle",
    "huge bytearray": "is no whole pickle",
    "huge frame": "is no whole pickle",
    "huge number": "is a text file that begins with 'I999",
    "no dict": "holds a tuple",
    "empty dict": "it holds nothing",
    "hash bomb": "it holds nothing",
    "hash bomb in a set": "holds a set",
}
"""The cause that is named where it is not that the file asks for what the case is called."""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=SAID.get(name, f"asks for '{re.escape(name)}'")) as info:
        read_body(write(tmp_path, HOSTILE[name]))
    assert os.listdir(tmp_path) == ["model.pkl"] and len(str(info.value)) < 700 + len(str(tmp_path))


class Reduced:
    def __init__(self, *reduce: Any) -> None:
        self.reduce = reduce

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduce


def hostile_arrays() -> dict[str, tuple[Any, str]]:
    """Arrays, each with the cause that is named."""
    reconstruct = np.zeros(1).__reduce__()[0]
    f8 = np.dtype("f8")

    def made(*state):
        return Reduced(reconstruct, (np.ndarray, (0,), b"b"), state)

    return {
        "shape too large for its bytes": (
            made(1, (10**6, 10**6), f8, False, b"1234"),
            r"claims the shape \(1000000, 1000000\)",
        ),
        "bytes that do not fit": (made(1, (3,), f8, False, b"1" * 23), r"shape \(3,\) holds 23 bytes"),
        "negative shape": (made(1, (-1,), f8, False, b""), "no valid shape"),
        "empty dimensions": (made(1, (0, 2**40, 2**40), f8, False, b""), "no valid shape"),
        "many dimensions": (made(1, (1,) * 40, f8, False, b"1" * 8), "no valid shape"),
        "objects": (np.array([{}, 1], dtype=object), "content is a list"),
        "text": (np.array(["a"]), "no plain number"),
        "records": (np.zeros(2, dtype=[("a", "f8")]), "no plain number"),
        "complex": (np.zeros(3, complex), "no plain number"),
        "no state": (Reduced(reconstruct, (np.ndarray, (0,), b"b")), "is written as Reconstruct"),
        "odd state": (
            Reduced(reconstruct, (np.ndarray, (0,), b"b"), (1, 2, 3, 4, 5)),
            "content is a int",
        ),
        "a list": ([1.0, 2.0], "is written as list"),
        "None": (None, "is written as NoneType"),
        "nan": (np.full((60, 3), np.nan), "v_template holds numbers that are not finite"),
        "too large for float32": (np.full((60, 3), 1e300), "v_template holds numbers that are not finite"),
        "a scalar": (np.float64(3), r"v_template is an array of float64 with shape \(\)"),
        "another shape": (np.zeros((59, 3)), r"shapedirs has shape \(60, 3, 10\); with 59 vertices"),
        "no entries": (np.zeros((0, 3)), r"v_template is an array of float64 with shape \(0, 3\)"),
    }


@pytest.mark.parametrize("name", hostile_arrays())
def test_hostile_arrays_are_refused(tmp_path: Path, name: str) -> None:
    array, said = hostile_arrays()[name]
    with pytest.raises(InputError, match=said):
        read_body(write(tmp_path, dump(small() | {"v_template": array}, 4)))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"_shape": (2**40, 2**40)}, "no valid shape"),
        ({"_shape": (24, 60), "indptr": np.array([0, 5])}, "inconsistent row pointers"),
        ({"indices": np.array([10**9])}, "inconsistent row pointers"),
        ({"_shape": (24,)}, r"has the shape \(24,\)"),
        ({"data": np.zeros(1)}, "indices outside its shape"),
        ({"indptr": None}, "is written as NoneType"),
        ({"indices": -np.ones(1, int)}, "inconsistent row pointers"),
        ({"_shape": None}, "no valid shape"),
    ],
)
def test_hostile_matrices_are_refused(tmp_path: Path, state: dict[str, Any], said: str) -> None:
    arrays = small()
    matrix = foreign("scipy.sparse.csc", "csc_matrix")(**(sparse_state(arrays["J_regressor"], "csc") | state))
    content = dump(arrays | {"J_regressor": matrix}, 2)
    with pytest.raises(InputError, match=said):
        read_body(write(tmp_path, content))


def test_other_chumpy_expressions_are_refused(tmp_path: Path) -> None:
    chumpy, product = foreign("chumpy.ch", "Ch"), foreign("chumpy.linalg", "dot")
    nested = product(a=chumpy(x=np.zeros(3)))
    select = foreign("chumpy.reordering", "Select")
    loop = chumpy()
    loop.x = loop
    outside = select(a=chumpy(x=np.zeros(3)), idxs=np.array([7]), preferred_shape=(1,))
    for bad, said in (
        (nested, "is written as Chumpy"),
        (loop, "is nested too deeply"),
        (chumpy(), "is written as Chumpy"),
        (outside, "indices outside its array"),
        (select(), "is written as Select"),
    ):
        with pytest.raises(InputError, match=said):
            read_body(write(tmp_path, dump(small() | {"posedirs": bad}, 2)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("parents", "must start with -1 and name only earlier joints"),
        ("faces", "faces index vertex 10[0-9]+, but there are 60"),
        ("missing", "lacks posedirs, weights"),
        ("hands_mean", r"hands_mean has shape \(44,\)"),
    ],
)
def test_inconsistent_models_are_refused(tmp_path: Path, name: str, said: str) -> None:
    arrays = small(hand=True)
    if name == "parents":
        arrays["kintree_table"] = arrays["kintree_table"][:, ::-1]
    elif name == "faces":
        arrays["f"] = arrays["f"] + 1000
    elif name == "missing":
        del arrays["weights"], arrays["posedirs"]
    else:
        arrays["hands_mean"] = np.zeros(44)
    with pytest.raises(InputError, match=said) as info:
        read_body(write(tmp_path, dump(arrays, 4)))
    assert str(tmp_path) in str(info.value)


def test_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.pkl", tmp_path / "absent" / "x.npz"):
        with pytest.raises(InputError, match="cannot be read"):
            read_body(path)


@pytest.mark.parametrize("read", [read_npy, read_npz])
def test_only_plain_files_of_a_bounded_size_are_opened(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path):
        with pytest.raises(InputError, match="no plain file"):
            read(path, 100)
    with (tmp_path / "long").open("wb") as hole:
        hole.truncate(MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(InputError, match=f"at most {MAX_BYTES:,} are read"):
        read(tmp_path / "long", 100)


def test_a_zip_that_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("v_template.npy", b"junk")
    with pytest.raises(InputError, match=r"lacks shapedirs, .*\(it holds v_template\)"):
        read_body(tmp_path / "x.npz")
