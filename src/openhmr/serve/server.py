"""A server for the page alone: the standard library's, which gives out a fixed set of files."""

import hashlib
import logging
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from openhmr.errors import InputError
from openhmr.serve.site import SiteFile, type_of

log = logging.getLogger(__name__)

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""The first two isolate the page, so that its engine may use threads. Browsers keep files and ask whether
they changed."""

LOOPBACK = "127.0.0.1"


def page_server(site: Mapping[str, SiteFile], host: str = LOOPBACK, port: int = 0) -> ThreadingHTTPServer:
    """A server of the files of ``site`` at ``host`` and ``port`` (0: any free one), ready for
    ``serve_forever()``; its ``server_port`` is the one it has. Raises :class:`InputError` where the port is
    taken or not allowed."""

    class Handler(_PageHandler):
        files = site
        tag = staticmethod(cache(lambda name: _tag(site[name])))

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"no server could be opened at {host}:{port} ({reason}); choose another port, or 0 for any free "
            f"one"
        ) from None


def _tag(file: SiteFile) -> str:
    return f'"{hashlib.sha256(file.read()).hexdigest()[:24]}"'


class _PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of known names; there is no way from a name to the file system."""

    files: Mapping[str, SiteFile]
    tag: Any
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "openhmr", ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        file = self.files.get(name)
        if file is None:
            self._send(404, "text/plain; charset=utf-8", b"there is no such file\n", body)
            return
        tag = self.tag(name)
        if self.headers.get("If-None-Match") == tag:
            self._send(304, None, b"", False, tag)
            return
        self._send(200, type_of(name), file.read(), body, tag)

    def _send(
        self, status: int, kind: str | None, content: bytes, body: bool, tag: str | None = None
    ) -> None:
        self.send_response(status)
        for key, value in HEADERS.items():
            self.send_header(key, value)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        if tag is not None:
            self.send_header("ETag", tag)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
