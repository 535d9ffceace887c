"""Opening an ONNX file that ships or that a user trained."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from openhmr.bodies.body import Body
from openhmr.errors import InputError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Shape = tuple[int, ...]

_METADATA, _KEY, _VALUE = 14, 1, 2
"""Field numbers of onnx.proto: ModelProto.metadata_props, and key and value of its entries."""
_MAX_TEXT = 1 << 20


def open_session(path: str | Path, threads: int, content: bytes | None = None) -> "InferenceSession":
    """A CPU session of ``threads`` threads, of the file at ``path`` or of the ``content`` made from it.
    Raises :class:`InputError` if ``path`` is missing or no ONNX model."""
    _check_file(path)
    # onnxruntime reports its use to its maker, and keeps a device id in the user's cache, unless this is set
    # before its import. Nobody expects that of their photos.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Idle threads must not spin beside the user's own.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content or str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise InputError(
            f"{path} is not a usable ONNX model ({str(error)[:80]!r}); export it again"
        ) from None


def check_signature(
    session: "InferenceSession", path: str | Path, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
) -> None:
    """Raises :class:`InputError` if the network does not take exactly ``inputs`` or lacks one of ``outputs``,
    each with its shape behind the batch axis; axes that the file leaves open are not compared."""
    for kind, wanted, found in (
        ("takes", inputs, session.get_inputs()),
        ("returns", outputs, session.get_outputs()),
    ):
        shapes = {node.name: node.shape for node in found}
        for name, shape in wanted.items():
            given = shapes.get(name, ())
            fits = len(given) == len(shape) + 1 and all(
                n == m for n, m in zip(given[1:], shape, strict=True) if isinstance(n, int)
            )
            if not fits or (kind == "takes" and len(shapes) > len(wanted)):
                listed = ", ".join(f"{k} {v}" for k, v in shapes.items())
                raise InputError(
                    f"{path} {kind} {listed[:300]}; {name} of shape {('batch', *shape)} is needed, as "
                    f"`openhmr lab export` writes it: export it again"
                )


def image_threads() -> int:
    """Threads of an image network: its layers are too small for more than four; no more than the environment
    variable OMP_NUM_THREADS allows."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(4, os.cpu_count() or 1, int(allowed) if allowed.isdecimal() and int(allowed) else 4)


def check_body(metadata: Mapping[str, str], path: str | Path, body: Body) -> None:
    """Raises :class:`InputError` if the model was made for another body than ``body``."""
    if not isinstance(body, Body):
        raise InputError(f"the body is {type(body).__name__}; give the Body that the model was made for")
    made_for = metadata.get("body", "")
    if not body.matches(made_for):
        raise InputError(
            f"{path} was made for the body {made_for!r}, not for {body.content_hash()!r} with "
            f"{body.num_vertices} "
            "vertices; give the body file that it was trained and exported with"
        )


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of an ONNX file, without reading its weights. Raises :class:`InputError` if it is no such
    file."""
    _check_file(path)
    out = {}
    try:
        with Path(path).open("rb") as file:
            for number, size in _fields(file, os.path.getsize(path)):
                if number == _METADATA and size <= _MAX_TEXT:
                    end = file.tell() + size
                    entry = {n: file.read(s).decode() for n, s in _fields(file, end) if s <= _MAX_TEXT}
                    out[entry.get(_KEY, "")] = entry.get(_VALUE, "")
                else:
                    file.seek(size, os.SEEK_CUR)
    except (ValueError, OverflowError):
        raise InputError(
            f"{path} is not a readable ONNX model; give an .onnx file of `openhmr lab export`"
        ) from None
    return out


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number and size of each field of a protocol buffer up to ``end``; the caller must move past its
    content."""
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        if kind == 0:
            _varint(file)
        elif kind == 2:
            size = _varint(file)
            if file.tell() + size > end:
                raise ValueError("truncated")
            yield number, size
        elif kind in (1, 5):
            file.seek(8 if kind == 1 else 4, os.SEEK_CUR)
        else:
            raise ValueError(f"unknown wire type {kind}")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("truncated")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than 64 bits")


def _check_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise InputError(
            f"{path} does not exist; give an .onnx file of `openhmr lab export`, or train one with `openhmr "
            f"lab train`"
        )
