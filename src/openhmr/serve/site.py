"""The page's files: built ones of this package, the body, and the models, under the names by which it asks
for them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.models import available
from openhmr.predict.plain import plain_cuts
from openhmr.serve.body_file import body_file

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
"""What browsers are told that files are; others are bytes."""

MODELS = ("pose2mesh", "detector", "i2l-body")
_PAGE = ("index.html", "app.mjs", "worker.mjs", "style.css", "ort.mjs", "ort.wasm.gz", "LICENSES.txt")


@dataclass(frozen=True)
class SiteFile:
    """A file of the page: its ``content``, or the ``path`` that holds it."""

    content: bytes | None = None
    path: Path | None = None

    def read(self) -> bytes:
        """All of its bytes."""
        if self.content is not None:
            return self.content
        assert self.path is not None
        return self.path.read_bytes()


def static_folder() -> Path:
    """Where the built page lies. Raises :class:`InputError` where this installation has none."""
    folder = Path(str(files("openhmr") / "serve" / "static"))
    if not (folder / "index.html").is_file():
        raise InputError("this installation holds no built page; run `make web` in the repository once")
    return folder


def site_files() -> Mapping[str, SiteFile]:
    """Every file of the page by the path that it is asked for, such as ``index.html``: nothing else is ever
    given out. Raises :class:`InputError` where the page was not built."""
    folder, models = static_folder(), available()
    out = {name: SiteFile(path=folder / name) for name in _PAGE}
    out |= {f"{name}.onnx": SiteFile(path=models[name]) for name in MODELS}
    out["plain.json"] = SiteFile(content=cuts_file(models["i2l-body"]))
    out["body.bin"] = SiteFile(content=body_file(open_body()))
    return out


def cuts_file(path: Path) -> bytes:
    """How the page makes the plain twin of the image network at ``path``, as JSON: place and length of bytes,
    and what comes instead, in base64 (:func:`~openhmr.predict.plain.plain_cuts`)."""
    cuts = plain_cuts(path.read_bytes(), path.name)
    return json.dumps(
        [(start, length, base64.b64encode(text).decode()) for start, length, text in cuts]
    ).encode()


def type_of(name: str) -> str:
    """The media type of a file of the page."""
    return TYPES.get(Path(name).suffix, "application/octet-stream")
