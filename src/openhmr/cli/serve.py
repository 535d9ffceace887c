"""``openhmr serve``: the page on which poses are dragged and photos become bodies."""

import argparse
from pathlib import Path
from typing import Any

from openhmr.errors import InputError

_EXAMPLES = """examples:
  openhmr serve --port 8080
  openhmr serve --export out/page
  openhmr serve --single out/lift.html
  openhmr serve --single out/all.html --pictures

The page computes everything in the browser and sends nothing. Without --export or --single it is served, to
this machine alone unless --host says more, until Ctrl+C. A webcam needs an address that browsers trust: this
machine's own, or https."""


def add_command(commands: Any) -> None:
    about = "A page that computes bodies from poses, photos and a webcam, in the browser."
    serve = commands.add_parser("serve", help="the page, in a browser", description=about, epilog=_EXAMPLES)
    serve.add_argument("--port", type=_port, default=0, metavar="N", help="0, the default, is any free one")
    serve.add_argument("--host", default=None, metavar="ADDRESS", help="default: 127.0.0.1, this machine")
    serve.add_argument("--open", action="store_true", help="open the page in a browser, too")
    written = serve.add_mutually_exclusive_group()
    written.add_argument(
        "--export", type=Path, metavar="DIR", help="write the page for a static host instead"
    )
    written.add_argument("--single", type=Path, metavar="FILE.html", help="write it as one file instead")
    serve.add_argument("--pictures", action="store_true", help="with --single: photos, too, not poses alone")
    serve.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.serve.export import export_folder, export_single

    if options.pictures and options.single is None:
        raise InputError("--pictures belongs to --single, whose file may hold them or not; leave it out")
    if options.export is not None:
        paths = export_folder(options.export)
        size = sum(path.stat().st_size for path in paths)
        print(f"{options.export}: {len(paths)} files, {size / 1e6:.1f} MB")
    elif options.single is not None:
        path = export_single(options.single, pictures=options.pictures)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    else:
        _serve(options)


def _serve(options: argparse.Namespace) -> None:
    from openhmr.serve.server import LOOPBACK, page_server
    from openhmr.serve.site import site_files

    host = options.host or LOOPBACK
    server = page_server(site_files(), host, options.port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{server.server_port}/"
    print(f"{address}  (Ctrl+C ends it)", flush=True)
    if options.open:
        import webbrowser

        webbrowser.open(address)
    with server:
        server.serve_forever()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is given, a number from 0 to 65535 is needed")
    return int(text)
