"""The page as files: a folder for any static host, or one file that opens from the disk."""

import base64
import gzip
import re
from pathlib import Path

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.serve.site import site_files, static_folder

INSIDE = ("body.bin", "pose2mesh.onnx")
"""Data of a single file that lifts poses."""
PICTURES = ("detector.onnx", "i2l-body.onnx", "plain.json")
"""What photos need besides."""


def export_folder(folder: Path) -> list[Path]:
    """Write the whole page into ``folder``, which is made, and may hold an earlier one; returns the files.

    Any static host can serve it. Raises :class:`InputError` for a folder with something else in it.
    """
    site = site_files()
    if folder.exists() and (not folder.is_dir() or any(p.name not in site for p in folder.iterdir())):
        raise InputError(f"{folder} holds other files; name a new folder for the page")
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in site.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(file.read())
    return [folder / name for name in site]


def export_single(path: Path, *, pictures: bool = False) -> Path:
    """Write the page as one HTML file that holds everything it needs and opens from the disk.

    It lifts poses (some 18 MB); with ``pictures`` it recovers people from photos, too (some 70 MB). Raises
    :class:`InputError` for another ending than .html.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path} does not end in .html; give such a name, so that browsers open it")
    folder, site = static_folder(), site_files()
    page = (folder / "index.html").read_text("utf-8")
    style = (folder / "style.css").read_text("utf-8")
    inside = {"worker.js": (folder / "single" / "worker.js").read_bytes()}
    inside |= {name: site[name].read() for name in (*INSIDE, *(PICTURES if pictures else ()))}
    texts = [_inside(name, gzip.compress(data, 9, mtime=0)) for name, data in inside.items()]
    texts.append(_inside("ort.wasm", site["ort.wasm.gz"].read()))
    script = (folder / "single" / "app.js").read_text("utf-8").replace("</script", "<\\/script")
    page = _replaced(page, '<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    page = _replaced(page, "script-src 'self'", "script-src 'unsafe-inline'")
    tag = '<script type="module" src="app.mjs"></script>'
    page = _replaced(page, tag, "\n".join([*texts, f"<script>{script}</script>"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(page, "utf-8", newline="\n")
    return path


def _inside(name: str, packed: bytes) -> str:
    kind = 'type="text/plain"'
    return f'<script {kind} id="inside:{name}">{base64.b64encode(packed).decode()}</script>'


def _replaced(text: str, old: str, new: str) -> str:
    assert len(re.findall(re.escape(old), text)) == 1, f"{old} is not in the page once"
    return text.replace(old, new)
