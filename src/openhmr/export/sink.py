"""Where frames go."""

from types import TracebackType
from typing import Protocol

from openhmr.people import Frame


class Sink(Protocol):
    """Takes frames in order. Inside ``with``, so that what it writes appears whole or not at all."""

    def append(self, frame: Frame) -> None: ...

    def __enter__(self) -> "Sink": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
