"""The server, the written page, and the image network's plain twin."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from openhmr import InputError, load
from openhmr.cli import main
from openhmr.models import available
from openhmr.predict.plain import plain_cuts, plain_network, spliced
from openhmr.serve import export, server, site

PLAIN = available()["i2l-body"]
SITE = {
    "index.html": site.SiteFile(content=b"<!doctype html>"),
    "app.mjs": site.SiteFile(content=b"export {};"),
    "body.bin": site.SiteFile(content=bytes(range(256))),
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server.page_server(SITE) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.content = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def test_files_come_with_their_types_and_isolated(port: int) -> None:
    for path, kind in (("/", "text/html; charset=utf-8"), ("/app.mjs", "text/javascript; charset=utf-8")):
        answer = ask(port, path)
        assert answer.status == 200 and answer.headers["Content-Type"] == kind
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    answer = ask(port, "/body.bin?again")
    assert answer.content == bytes(range(256))  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    again = ask(port, "/body.bin", **{"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304 and not again.content  # type: ignore[attr-defined]
    head = ask(port, "/body.bin", "HEAD")
    assert head.status == 200 and head.headers["Content-Length"] == "256"


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/..%2f..%2fetc/passwd", "//etc/passwd", "/app.mjs/",
     "/%00", "/static/index.html", "/" + "a" * 5000],
)  # fmt: skip
def test_nothing_but_the_page_is_given_out(port: int, path: str) -> None:
    assert ask(port, path).status == 404


def test_other_methods_are_refused(port: int) -> None:
    assert ask(port, "/", "POST").status == 501


def test_a_taken_port_is_one_sentence(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="choose another port"):
        server.page_server(SITE, port=port)
    assert main(["serve", "--port", "70000"]) == 2
    assert "from 0 to 65535" in capsys.readouterr().err
    assert main(["serve", "--pictures"]) == 2
    assert "--single" in capsys.readouterr().err


def test_the_written_folder_is_the_site(tmp_path: Path) -> None:
    paths = export.export_folder(tmp_path / "page")
    assert (
        {p.name for p in paths} == set(site.site_files()) == {p.name for p in (tmp_path / "page").iterdir()}
    )
    assert export.export_folder(tmp_path / "page") == paths  # once more, over itself
    for name in ("pose2mesh", "i2l-body", "detector"):
        assert (tmp_path / "page" / f"{name}.onnx").read_bytes() == available()[name].read_bytes()
    (tmp_path / "page" / "mine.txt").touch()
    with pytest.raises(InputError, match="holds other files"):
        export.export_folder(tmp_path / "page")


def test_the_single_file_holds_all(tmp_path: Path) -> None:
    text = export.export_single(tmp_path / "lift.html").read_text()
    assert text == export.export_single(tmp_path / "again.html").read_text()
    for name in ("worker.js", "body.bin", "pose2mesh.onnx", "ort.wasm"):
        assert text.count(f'id="inside:{name}"') == 1
    assert 'src="' not in text.split("<script>")[0] and "detector.onnx" not in text.split("<script>")[0]
    with pytest.raises(InputError, match=r"end in \.html"):
        export.export_single(tmp_path / "page.txt")


def test_the_plain_twin_is_what_the_network_says_of_the_crop_alone(tmp_path: Path) -> None:
    """Against the tensors inside the shipped file, before both views are averaged."""
    model = onnx.load(PLAIN)
    halves = [n for n in model.graph.node if n.op_type == "Reshape" and n.output[0].startswith("/Reshape")]
    sources = {n.input[0] for n in halves[:7]}
    for name in sources:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    both = onnxruntime.InferenceSession(model.SerializeToString())
    data = plain_network(PLAIN)
    onnx.checker.check_model(onnx.load_from_string(data))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    plain = onnxruntime.InferenceSession(data, options)
    image = np.random.default_rng(0).random((2, 3, 256, 256), np.float32)
    names = [o.name for o in plain.get_outputs()]
    found = dict(zip(names, plain.run(None, {"image": image}), strict=True))
    inner = dict(zip([o.name for o in both.get_outputs()], both.run(None, {"image": image}), strict=True))
    for name in ("joints_lixel", "joints_sigma", "vertices_lixel", "vertices_sigma", "scale_m", "betas"):
        near = [
            np.abs(inner[s][:2] - found[name]).max()
            for s in sources
            if inner[s][:2].shape == found[name].shape
        ]
        assert min(near) < 1e-3, name
    turns = found["rotations"]
    np.testing.assert_allclose(
        turns @ turns.swapaxes(-1, -2), np.broadcast_to(np.eye(3), turns.shape), atol=1e-5
    )
    # A file that looks once already stays as it is; what is no model is one sentence.
    assert plain_cuts(data, "twin") == []
    with pytest.raises(InputError, match="is not a readable ONNX model"):
        plain_cuts(b"\x08\x01\xff\xff", "junk")
    assert spliced(b"abcdef", [(1, 2, b"XYZ"), (5, 0, b"-")]) == b"aXYZde-f"


def test_both_ways_see_the_same_person() -> None:
    """One look differs from two by millimetres of a person who is well seen."""
    image = np.full((480, 360, 3), 128, np.uint8)
    box = np.array([[60.0, 40, 240, 400]])
    once, twice = (load("i2l-body", mirrored=m)(image, box) for m in (False, True))
    assert once.vertices.shape == twice.vertices.shape and len(once) == 1
    assert np.isfinite(once.vertices).all() and not np.array_equal(once.vertices, twice.vertices)


def test_the_cuts_reach_the_page() -> None:
    cuts = json.loads(site.cuts_file(PLAIN))
    assert cuts == sorted(cuts) and all(len(cut) == 3 for cut in cuts)
