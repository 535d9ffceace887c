"""Body files as people have them: flat arrays, SMPL's relatives, other kinds of files, and bombs."""

import io
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openhmr.bodies import Body, open_body, read_body
from openhmr.bodies.readers import convert
from openhmr.bodies.smpl import check_smpl
from openhmr.cli import main
from openhmr.errors import InputError
from tests.conftest import make_tiny_body
from tests.synthetic_models import model


def small(vertices: int = 60, joints: int = 24) -> dict[str, np.ndarray]:
    """Arrays as SMPL's files hold them, of few vertices."""
    full, rng = model(5, False), np.random.default_rng(joints)
    out = {k: full[k][:vertices] for k in ("v_template", "shapedirs")}
    out["posedirs"] = rng.standard_normal((vertices, 3, 9 * (joints - 1)))
    weights, regressor = rng.random((vertices, joints)), rng.random((joints, vertices))
    out["weights"] = weights / weights.sum(1, keepdims=True)
    out["J_regressor"] = regressor / regressor.sum(1, keepdims=True)
    out["kintree_table"] = np.stack([np.arange(joints) - 1, np.arange(joints)])
    out["f"] = np.arange(vertices - vertices % 3).reshape(-1, 3)
    return out


def write_npz(path: Path, arrays: dict[str, Any], compress: bool = False) -> Path:
    (np.savez_compressed if compress else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("suffix", ["npz", "pkl"])
@pytest.mark.parametrize("form", ["(P,3V)", "(3V,P)", "(V,3,P)"])
def test_every_form_of_posedirs_is_the_same_body(tmp_path: Path, form: str, suffix: str) -> None:
    arrays = small()
    expected = arrays["posedirs"].astype(np.float32)
    flat = arrays["posedirs"].reshape(180, 207)
    arrays["posedirs"] = {"(P,3V)": flat.T, "(3V,P)": flat, "(V,3,P)": arrays["posedirs"]}[form]
    path = tmp_path / f"body.{suffix}"
    path.write_bytes(pickle.dumps(arrays)) if suffix == "pkl" else write_npz(path, arrays)
    assert np.array_equal(read_body(path).posedirs, expected)


def test_posedirs_that_could_be_either_are_refused(tmp_path: Path) -> None:
    arrays = small(vertices=69)  # 3 V = P = 207
    arrays["posedirs"] = arrays["posedirs"].reshape(207, 207)
    with pytest.raises(InputError, match=r"posedirs has shape \(207, 207\); .* need \(69, 3, 207\)"):
        read_body(write_npz(tmp_path / "body.npz", arrays))
    arrays["posedirs"] = arrays["posedirs"][:, :200]
    with pytest.raises(InputError, match=r"posedirs has shape \(207, 200\)"):
        read_body(write_npz(tmp_path / "body.npz", arrays))


def test_relatives_of_smpl_are_read_but_are_not_smpl(tmp_path: Path) -> None:
    for (vertices, joints), kind in {
        (10475, 55): "SMPL-X",
        (6890, 52): r"SMPL\+H",
        (100, 30): "another",
    }.items():
        zeros = small(60, joints) | {
            "v_template": np.zeros((vertices, 3)),
            "shapedirs": np.zeros((vertices, 3, 20)),
            "posedirs": np.zeros((vertices, 3, 0)),
            "weights": np.zeros((vertices, joints)),
            "J_regressor": np.zeros((joints, vertices)),
        }
        body = read_body(write_npz(tmp_path / "body.npz", zeros, compress=True))
        assert (body.num_vertices, body.num_joints) == (vertices, joints)
        with pytest.raises(InputError, match=f"{vertices:,} vertices and {joints} joints, so it is {kind}"):
            check_smpl(body)
    check_smpl(make_tiny_body())


OTHER_FILES = {
    "text": (b"hello, I am a note\nand so on\n", "a text file that begins with 'hello, I am a note'"),
    "text in UTF-8": ("Körper:\nja\n".encode(), "a text file that begins with 'Körper:'"),
    "text like a pickle": (b"comments and more\non two lines\n", "a text file that begins with 'comments"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        "text file that begins with 'vers",
    ),
    "web page": (b"\n<!DOCTYPE html><html><body>Log in", "a web page, not a model; log in"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00", "a gzip archive; unpack"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive; unpack"),
    "npy": (b"\x93NUMPY\x01\x00v\x00{'descr'", "a single .npy array"),
    "bytes": (bytes(range(128, 256)), "no whole pickle and no .npz"),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_kinds_of_files_are_named(tmp_path: Path, kind: str) -> None:
    content, cause = OTHER_FILES[kind]
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=cause) as info:
        read_body(path)
    assert str(path) in str(info.value)


def test_the_archive_as_downloaded(tmp_path: Path) -> None:
    path = tmp_path / "SMPL_python.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("models/basic_model_f.pkl", pickle.dumps(small()))
    with pytest.raises(
        InputError, match=r"zip archive of models/basic_model_f.pkl and holds no arrays; unpack"
    ):
        read_body(path)


def test_missing_arrays_are_named_beside_those_there(tmp_path: Path) -> None:
    arrays = small()
    del arrays["f"], arrays["kintree_table"]
    with pytest.raises(
        InputError, match=r"lacks kintree_table, f \(it holds J_regressor, posedirs, shapedirs"
    ):
        read_body(write_npz(tmp_path / "body.npz", arrays))


def npy_bytes(header: bytes) -> bytes:
    return b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header


def bomb(path: Path, kind: str) -> Path:
    """A file of at most a few MB that asks for gigabytes."""
    huge = 20_000_000
    if kind == "sparse":  # every matrix claims 2^24 entries that no byte stands for
        body = io.BytesIO()
        make_tiny_body().save(path)
        with np.load(path) as arrays:
            content = dict(arrays)
        for name in [n for n in content if n.endswith(".shape")]:
            content[name] = np.array([4096, 4096])
        np.savez_compressed(body, **content)
        path.write_bytes(body.getvalue())
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                if kind == "header":
                    file.write(b"\x93NUMPY\x02\x00" + (1 << 28).to_bytes(4, "little"))
                    for _ in range(1 << 8):
                        file.write(b" " * (1 << 20))
                else:
                    text, size = ("'<U1000'", 4000 * 20_000) if kind == "dtype" else ("'<f8'", 8 * huge)
                    count = 20_000 if kind == "dtype" else huge
                    file.write(
                        npy_bytes(
                            f"{{'descr': {text}, 'fortran_order': False, 'shape': ({count},)}}\n".encode()
                        )
                    )
                    for _ in range(size >> 20):
                        file.write(bytes(1 << 20))
    return path


class OneBuffer:
    """Pickled as an array of single bytes that lies in ``raw``, of which the file holds one copy."""

    def __init__(self, raw: bytes, shape: tuple[int, ...]) -> None:
        self.parts = raw, np.dtype("i1"), shape, "C"

    def __reduce__(self) -> tuple[Any, ...]:
        return np._core.numeric._frombuffer, self.parts  # type: ignore[attr-defined]


MEASURE = """
import sys
from openhmr.bodies import read_body
from openhmr.errors import InputError
try:
    read_body(sys.argv[1])
except InputError as error:
    print(error)
else:
    sys.exit("was read")
# A new program starts with the peak of the process that started it, but for this one.
print(int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("kind", ["zeros", "header", "dtype", "sparse", "pickle"])
def test_bombs_cost_little_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb.npz"
    if kind == "pickle":  # one buffer of bytes that all large arrays are made of
        raw, half = bytes(10_000_000), 5_000_000
        shapes = {"v_template": (half, 2), "shapedirs": (2, 5, 1_000_000), "posedirs": (2, 5, 1_000_000)}
        shapes |= {"weights": (half, 2), "J_regressor": (2, half)}
        arrays = small() | {name: OneBuffer(raw, shape) for name, shape in shapes.items()}
        path.write_bytes(pickle.dumps(arrays))
    else:
        bomb(path, kind)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sentence, peak_mb = done.stdout.strip().rsplit("\n", 1)
    assert float(peak_mb) < 300, sentence


def test_a_file_may_hold_little_in_many_zeros(tmp_path: Path) -> None:
    """Bodies without pose correction pack to a hundredth, and are read all the same."""
    arrays = model(1, False)
    arrays["posedirs"] = np.zeros_like(arrays["posedirs"])
    path = write_npz(tmp_path / "body.npz", arrays, compress=True)
    assert read_body(path).num_vertices == 6890


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("levels/coarse.vertex_ids", np.arange(12) + 31, "level 'coarse' index vertex 42"),
        ("levels/coarse.faces", np.full((20, 3), 12), "faces of level 'coarse' index vertex 12"),
        ("levels/coarse.rows", np.full(72, -1), "upsampling rows of level 'coarse' index vertex -1"),
        ("levels/coarse.values", np.zeros(3), "an upsampling of 72 rows, 72 columns and 3 values"),
        ("weights.cols", np.full(168, 24), "damaged body file"),
        ("weights.rows", np.full(168, -1), "negative indices"),
        ("weights.shape", np.array([42]), "weights claims the shape"),
        ("weights.values", None, "lacks the array 'weights.values'"),
        ("hands_mean", np.zeros(3), r"hands_mean has shape \(3,\); 24 joints need \(69,\)"),
        ("faces", np.full((5, 3), 42), "faces index vertex 42, but there are 42"),
    ],
)
def test_damaged_body_files(tmp_path: Path, name: str, value: np.ndarray | None, cause: str) -> None:
    make_tiny_body().save(tmp_path / "body.npz")
    with np.load(tmp_path / "body.npz") as arrays:
        content = dict(arrays)
    assert value is None or name == "hands_mean" or name in content
    content = {k: v for k, v in content.items() if k != name} | ({} if value is None else {name: value})
    write_npz(tmp_path / "bad.npz", content)
    for read in (Body.load, read_body):
        with pytest.raises(InputError, match=cause):
            read(tmp_path / "bad.npz")


def test_saving_and_loading_keeps_everything(tmp_path: Path) -> None:
    body = open_body("render")
    body.save(tmp_path / "body.npz")
    again = Body.load(tmp_path / "body.npz")
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "faces", "uv", "face_uv"):
        assert np.array_equal(getattr(again, name), getattr(body, name)), name
    assert again.content_hash() == body.content_hash() and set(again.levels) == set(body.levels)


def test_regressors_are_added_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With them a converted body serves networks of other joints than its own."""
    write_npz(tmp_path / "smpl.npz", small())
    matrix = np.random.default_rng(0).random((17, 60))
    np.save(tmp_path / "r.npy", matrix)
    command = ["bodies", "convert", str(tmp_path / "smpl.npz"), str(tmp_path / "body.npz"), "--regressor"]
    for name in ("human36", "coco"):
        assert main([*command, f"{name}={tmp_path / 'r.npy'}"]) == 0
        body = Body.load(tmp_path / "body.npz")
        assert np.array_equal(body.joint_regressor(name)[:17], matrix.astype(np.float32))
    np.save(tmp_path / "r.npy", matrix[:, :5])
    capsys.readouterr()
    for value, cause in (
        (f"human36={tmp_path / 'r.npy'}", r"\(17, 5\); the human36 regressor .* shape \(17, 60\)"),
        (f"human37={tmp_path / 'r.npy'}", "did you mean 'human36'"),
        ("human36", "has no '='"),
        ("human36=no.npy", "no.npy does not exist"),
    ):
        assert main([*command, value]) == 2
        assert re.search(cause, capsys.readouterr().err)


@pytest.mark.parametrize("factor", [1e4, 1e5])
def test_other_units_than_metres_are_refused(tmp_path: Path, factor: float) -> None:
    arrays = small()
    arrays["v_template"] = arrays["v_template"] * factor
    with pytest.raises(InputError, match="v_template spans .* scale all lengths to metres"):
        read_body(write_npz(tmp_path / "body.npz", arrays))


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "empty.npz").touch()
    with pytest.raises(InputError, match="empty.npz is empty"):
        read_body(tmp_path / "empty.npz")
    with pytest.raises(InputError, match="no plain file"):
        read_body("a\0.npz")
    with pytest.raises(InputError, match="NUL character"):
        convert(write_npz(tmp_path / "body.npz", small()), "b\0.npz")
