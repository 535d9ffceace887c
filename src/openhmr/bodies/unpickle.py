"""Reading the pickles that SMPL and MANO come in, without running a line of what they hold.

A pickle is a program. This reader executes only the instructions that build numbers, strings, lists, tuples
and dicts, and records what would have been called (:class:`Node`) instead of calling it. Arrays are then made
from those records by our own code. NumPy's reconstructors, SciPy's sparse matrices and chumpy are known by
name; every other name is refused.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.storage import MAX_MATRIX, MAX_NUMBERS
from openhmr.errors import InputError

_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


class NotAPickle(InputError):
    """The content is something else than a pickle, or part of one."""


class Node:
    """A recorded call: the arguments, and the state that was to be set afterwards."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None


class Inert(Node):
    """Something that a model file may mention and no array needs."""


class Reconstruct(Node):
    """``numpy.core.multiarray._reconstruct``; the state is (version, shape, dtype, is_fortran, raw bytes)."""


class FromBuffer(Node):
    """``numpy.core.numeric._frombuffer(raw bytes, dtype, shape, order)``, the form of pickle protocol 5."""


class Scalar(Node):
    """``numpy.core.multiarray.scalar(dtype, raw bytes)``."""


class Dtype(Node):
    """``numpy.dtype(code, ...)``; the state is (version, byte order, ...)."""


class Encode(Node):
    """``_codecs.encode(text, 'latin1')``: how Python 3 writes bytes in protocols 0 to 2. Without arguments:
    ``bytes()``."""


class Reconstructor(Node):
    """``copyreg._reconstructor(class, ...)``: how protocols 0 and 1 make an instance of a class."""

    def __new__(cls, *args: Any) -> Node:  # type: ignore[misc]
        if not (args and isinstance(args[0], type) and issubclass(args[0], Node)):
            raise pickle.UnpicklingError("copyreg._reconstructor without a class")
        return args[0]()


class Csc(Node):
    """``scipy.sparse.csc_matrix``; the state is a dict."""


class Csr(Node):
    """``scipy.sparse.csr_matrix``; the state is a dict."""


class Coo(Node):
    """``scipy.sparse.coo_matrix``; the state is a dict."""


class Chumpy(Node):
    """A chumpy array or expression; the state is a dict, with the numbers of an array under ``x``."""


class Select(Chumpy):
    """``chumpy.reordering.Select``: entries ``idxs`` of the flattened ``a``, in the shape
    ``preferred_shape``."""


_KNOWN: dict[tuple[str, str], type[Node]] = {
    ("numpy", "ndarray"): Inert,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): Encode,
    **{(m, "bytes"): Encode for m in ("builtins", "__builtin__")},
    **{(m, n): Inert for m in ("builtins", "__builtin__") for n in ("object", "set", "frozenset")},
    **{(m, "_reconstructor"): Reconstructor for m in ("copyreg", "copy_reg")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): FromBuffer for core in ("core", "_core")},
    **{
        (f"scipy.sparse{module}", f"{kind}_{suffix}"): node
        for kind, node in (("csc", Csc), ("csr", Csr), ("coo", Coo))
        for module in ("", f".{kind}", f"._{kind}")
        for suffix in ("matrix", "array")
    },
}


# The unpickler that is written in Python: its instructions can be chosen and replaced one by one.
class _Recorder(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = {}
    # Members of the class in the standard library.
    stack: list[Any]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> type[Node]:
        if module == "chumpy" or module.startswith("chumpy."):
            return Select if name == "Select" else Chumpy
        try:
            return _KNOWN[module, name]
        except KeyError:
            full = f"{module}.{name}"[:80]
            if not all(part.isidentifier() for part in full.split(".")):
                raise pickle.UnpicklingError("a name that is none") from None
            raise InputError(
                f"the file asks for {full!r}, which no body model needs and which may run code; "
                "only NumPy, SciPy sparse and chumpy arrays are read: get the file from its publisher"
            ) from None

    def _call(self) -> None:
        args, node = self.stack.pop(), self.stack[-1]
        if not (isinstance(node, type) and issubclass(node, Node) and type(args) is tuple):
            raise pickle.UnpicklingError("a call of something that is no class")
        self.stack[-1] = node(*args)

    def _inst(self) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        node = self.find_class(module, name)
        args = self.pop_mark()
        self.stack.append(node(*args))

    def _build(self) -> None:
        state, node = self.stack.pop(), self.stack[-1]
        if not isinstance(node, Node):
            raise pickle.UnpicklingError("a state for something that has none")
        node.state = state

    def _fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise pickle.UnpicklingError("an item for something that is no dict")
        # Other keys are never looked up, and hashing a nested tuple can take for ever.
        target.update({k: v for k, v in zip(items[::2], items[1::2], strict=True) if type(k) is str})

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def _set_items(self) -> None:
        self._fill(self.pop_mark())

    def _make_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._fill(items)

    def _add_items(self) -> None:
        self.pop_mark()  # sets are never looked at

    def _frozenset(self) -> None:
        self.pop_mark()
        self.stack.append(frozenset())

    def _bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.stack.append(self.read(min(size, 1 << 30)))

    _unchanged = (
        "PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 "
        "LONG4 FLOAT BINFLOAT "
        "STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE BINUNICODE "
        "SHORT_BINUNICODE BINUNICODE8 "
        "TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_TUPLE LIST EMPTY_LIST APPEND APPENDS EMPTY_DICT EMPTY_SET "
        "GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL"
    )
    for _name in _unchanged.split():
        dispatch[getattr(pickle, _name)[0]] = pickle._Unpickler.dispatch[getattr(pickle, _name)[0]]
    for _name, _method in {
        "REDUCE": _call,
        "NEWOBJ": _call,
        "INST": _inst,
        "BUILD": _build,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
        "DICT": _make_dict,
        "ADDITEMS": _add_items,
        "FROZENSET": _frozenset,
        "BYTEARRAY8": _bytearray,
    }.items():
        dispatch[getattr(pickle, _name)[0]] = _method


def record_pickle(content: bytes) -> dict[str, Any]:
    """The dict that a pickle (any protocol, Python 2 or 3) holds, with calls as :class:`Node`.

    Raises :class:`InputError` for other contents, unknown names, and anything that is no complete pickle.
    """
    try:
        top = _Recorder(io.BytesIO(content), encoding="latin1").load()
    except InputError:
        raise
    except Exception as error:  # random bytes can raise nearly anything here
        reason = f"{type(error).__name__} {error}"[:100]
        raise NotAPickle(
            f"the file is no whole pickle and no .npz ({reason}); give the SMPL or MANO file as downloaded"
        ) from None
    if type(top) is not dict:
        raise InputError(
            f"the pickle holds a {type(top).__name__}, but body models are dicts of arrays; pass a SMPL or "
            f"MANO file"
        )
    return top


def _refuse(what: str) -> NoReturn:
    raise InputError(
        f"{what}; only plain, sparse and chumpy arrays of numbers are read: get the file from its publisher"
    )


def _raw(value: Any) -> bytes:
    if type(value) is Encode:
        value = value.args[0] if value.args else b""
    if type(value) is str:
        return value.encode("latin-1")
    if type(value) is bytes:
        return value
    _refuse(f"an array's content is a {type(value).__name__}")


def _dtype(value: Any) -> np.dtype:
    if (
        type(value) is not Dtype
        or not value.args
        or type(value.args[0]) is not str
        or value.args[0] not in _DTYPES
    ):
        _refuse("an array has a type that is no plain number")
    order = value.state[1] if type(value.state) is tuple and len(value.state) > 1 else "="
    return np.dtype(value.args[0]).newbyteorder(">" if order == ">" else "<")


def _shape(value: Any) -> tuple[int, ...]:
    value = (value,) if type(value) is int else value
    if (
        type(value) is not tuple
        or len(value) > 8
        or not all(type(n) is int and 0 <= n <= MAX_NUMBERS for n in value)
    ):
        _refuse("an array has no valid shape")
    if np.prod([float(n) for n in value]) > MAX_NUMBERS:
        _refuse(f"an array claims the shape {value}")
    return value


def _plain(raw: Any, dtype: Any, shape: Any, fortran: bool) -> NDArray:
    data, kind, size = _raw(raw), _dtype(dtype), _shape(shape)
    if int(np.prod(size)) * kind.itemsize != len(data):
        _refuse(f"an array of shape {size} holds {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(size, order="F" if fortran else "C")


def _sparse(node: Node, depth: int) -> NDArray:
    state = node.state
    rows_cols = _shape(state.get("_shape", state.get("shape")))
    if len(rows_cols) != 2 or rows_cols[0] * rows_cols[1] > MAX_MATRIX:
        _refuse(f"a sparse matrix has the shape {rows_cols}")
    data = to_array(state.get("data"), depth).ravel()
    if type(node) is Coo:
        row, col = state["coords"] if "coords" in state else (state.get("row"), state.get("col"))
        row, col = (to_array(x, depth).ravel().astype(np.int64) for x in (row, col))
    else:
        minor = to_array(state.get("indices"), depth).ravel().astype(np.int64)
        starts = to_array(state.get("indptr"), depth).ravel().astype(np.int64)
        counts = np.diff(starts)
        if counts.size != rows_cols[type(node) is Csc] or (counts < 0).any() or counts.sum() != minor.size:
            _refuse("a sparse matrix has inconsistent row pointers")
        major = np.repeat(np.arange(counts.size), counts)
        row, col = (minor, major) if type(node) is Csc else (major, minor)
    valid = data.size == row.size == col.size
    if not valid or (
        data.size
        and (min(row.min(), col.min()) < 0 or row.max() >= rows_cols[0] or col.max() >= rows_cols[1])
    ):
        _refuse("a sparse matrix has indices outside its shape")
    dense = np.zeros(rows_cols)
    np.add.at(dense, (row, col), data)
    return dense


def to_array(value: Any, depth: int = 0) -> NDArray:
    """The array that a record of :func:`record_pickle` stands for. Raises :class:`InputError` if it stands
    for none."""
    if depth > 6:
        _refuse("an array is nested too deeply")
    state = getattr(value, "state", None)
    if type(value) is Reconstruct and type(state) is tuple and len(state) == 5:
        return _plain(state[4], state[2], state[1], bool(state[3]))
    if type(value) is FromBuffer and len(value.args) == 4:
        return _plain(value.args[0], value.args[1], value.args[2], value.args[3] == "F")
    if type(value) is Scalar and len(value.args) == 2:
        return _plain(value.args[1], value.args[0], (), False)
    if type(state) is dict and isinstance(value, Csc | Csr | Coo):
        return _sparse(value, depth + 1)
    if type(state) is dict and type(value) is Select:
        flat, indices = (
            to_array(state.get("a"), depth + 1).ravel(),
            to_array(state.get("idxs"), depth + 1).ravel().astype(np.int64),
        )
        shape = _shape(tuple(int(n) for n in state["preferred_shape"]))
        if indices.size != np.prod(shape) or (
            indices.size and (indices.min() < 0 or indices.max() >= flat.size)
        ):
            _refuse("a chumpy selection has indices outside its array")
        return flat[indices].reshape(shape)
    if type(state) is dict and type(value) is Chumpy and "x" in state:
        return to_array(state["x"], depth + 1)
    _refuse(f"an array is written as {type(value).__name__}")
