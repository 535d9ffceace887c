"""An image network without its pass over the mirrored picture, from the same file (ours).

The exported network sees every crop twice, as it is and mirrored, in one batch, and averages both. Its plain
twin costs half. It is the same file with a few nodes rewritten, so that no second one has to be kept or sent:
the join of both halves keeps the first alone, and what took the halves apart passes everything on.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openhmr.errors import InputError

_GRAPH, _NODE = 7, 1
"""Fields of onnx.proto: ModelProto.graph, GraphProto.node."""
_INPUT, _OUTPUT, _KIND = 1, 2, 4
"""Fields of NodeProto."""

Cut = tuple[int, int, bytes]
"""Place and length of bytes of a file, and what comes instead."""


@dataclass(frozen=True)
class _Node:
    start: int
    length: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str


def plain_network(path: str | Path) -> bytes:
    """The file's bytes with :func:`plain_cuts` made. Raises :class:`InputError`."""
    data = Path(path).read_bytes()
    return spliced(data, plain_cuts(data, path))


def plain_cuts(data: bytes, name: object) -> list[Cut]:
    """What is to be replaced in an image network's file, in the order of the places: none where it sees its
    crops once.

    Raises :class:`InputError`, whose sentence starts with ``name``, for files of another make.
    """
    try:
        graph = next(field for field in _fields(data, 0, len(data)) if field[0] == _GRAPH)
        inside = _fields(data, graph[2], graph[3])
        nodes = [_node(data, start, end) for number, _, start, end in inside if number == _NODE]
    except (ValueError, IndexError, StopIteration):
        raise InputError(f"{name} is not a readable ONNX model; export it again") from None
    joins = [n for n in nodes if n.kind == "Concat" and n.inputs[0] == "image" and len(n.inputs) == 2]
    if not joins:
        return []
    reshaped = {n.outputs[0]: n for n in nodes if n.kind == "Reshape"}
    # Every output of the network is reshaped to (2, -1, ...), from which two Gathers take the halves.
    taken = [n for n in nodes if n.kind == "Gather" and n.inputs[0] in reshaped]
    times = Counter(n.inputs[0] for n in taken)
    halves = [n for n in taken if times[n.inputs[0]] == 2]
    through = {*halves, *(reshaped[n.inputs[0]] for n in halves)}
    contradict = [n for n in nodes if n.kind == "Greater"]
    if len(joins) != 1 or len(contradict) != 1 or not halves:
        raise InputError(f"{name} joins both views of a crop in an unknown way; use it with both views")
    new = {joins[0]: _written("Identity", ["image"], joins[0])}
    new |= {n: _written("Identity", n.inputs[:1], n) for n in through}
    # Views that contradict each other are not averaged: the surer one counts, the first where they are equal.
    (greater,) = contradict
    new[greater] = _written("Equal", [greater.inputs[0]] * 2, greater)
    cuts = [
        (node.start, node.length, text) for node, text in sorted(new.items(), key=lambda pair: pair[0].start)
    ]
    grown = sum(len(text) - length for _, length, text in cuts)
    _, at, start, end = graph
    return [(at, start - at, _varint(_GRAPH << 3 | 2) + _varint(end - start + grown)), *cuts]


def spliced(data: bytes, cuts: Sequence[Cut]) -> bytes:
    """``data`` with every cut made."""
    parts, at = list[bytes](), 0
    for start, length, text in cuts:
        parts += [data[at:start], text]
        at = start + length
    return b"".join([*parts, data[at:]])


def _node(data: bytes, start: int, end: int) -> _Node:
    """A NodeProto, with the place of its field's header."""
    text: dict[int, list[str]] = {_INPUT: [], _OUTPUT: [], _KIND: []}
    for number, _, first, last in _fields(data, start, end):
        if number in text:
            text[number].append(data[first:last].decode())
    head = len(_varint(_NODE << 3 | 2)) + len(_varint(end - start))
    return _Node(start - head, end - start + head, tuple(text[_INPUT]), tuple(text[_OUTPUT]), text[_KIND][0])


def _written(kind: str, inputs: Sequence[str], node: _Node) -> bytes:
    """A node of another kind in the place of ``node``, as a field of the graph."""
    fields = [(_INPUT, i) for i in inputs] + [(_OUTPUT, o) for o in node.outputs] + [(_KIND, kind)]
    body = b"".join(_varint(n << 3 | 2) + _varint(len(t.encode())) + t.encode() for n, t in fields)
    return _varint(_NODE << 3 | 2) + _varint(len(body)) + body


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, place, begin and end of the content of each field with a length, up to ``end``."""
    while at < end:
        place = at
        tag, at = _read_varint(data, at)
        number, wire = divmod(tag, 8)
        if wire == 2:
            length, at = _read_varint(data, at)
            if at + length > end:
                raise ValueError("truncated")
            yield number, place, at, at + length
            at += length
        elif wire == 0:
            _, at = _read_varint(data, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
