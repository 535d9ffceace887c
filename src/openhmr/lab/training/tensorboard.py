"""TensorBoard event files: scalars and pictures, without TensorBoard (which reads them) or protobuf.

A file is a sequence of records: length (8 bytes, little endian), its checksum, a protocol-buffer message, its
checksum. Only the few fields that scalars and pictures need are written (format: TensorFlow's documentation
of TFRecord and of the Event message).
"""

import struct
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
"""CRC-32C (Castagnoli), reflected."""


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def masked_crc(data: bytes) -> int:
    """The checksum of a record's part: CRC-32C, rotated and shifted by a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _event(step: int, content: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", time.time()) + _number(2, step) + content


class EventFile:
    """A new event file in ``folder``, which TensorBoard shows together with those of earlier starts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.openhmr"
        self._write(_event(0, _text(3, b"brain.Event:2")))

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Add one point to each curve."""
        summary = b"".join(
            _text(1, _text(1, name.encode()) + b"\x15" + struct.pack("<f", value))
            for name, value in values.items()
        )
        self._write(_event(step, _text(5, summary)))

    def picture(self, name: str, image: NDArray[np.uint8], step: int) -> None:
        """Add an RGB picture ``(height, width, 3)``."""
        png = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
        message = _number(1, image.shape[0]) + _number(2, image.shape[1]) + _number(3, 3) + _text(4, png)
        self._write(_event(step, _text(5, _text(1, _text(1, name.encode()) + _text(4, message)))))

    def _write(self, message: bytes) -> None:
        length = struct.pack("<Q", len(message))
        with self.path.open("ab") as file:
            file.write(
                length
                + struct.pack("<I", masked_crc(length))
                + message
                + struct.pack("<I", masked_crc(message))
            )
