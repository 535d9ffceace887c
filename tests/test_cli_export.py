"""``openhmr export``, and --formats of the other commands."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.arguments import Parser, add_formats
from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.cli import main
from openhmr.cli.export import results_in
from openhmr.errors import InputError
from openhmr.export.folder import DATA, ClipFolder, Folder, writers_of
from openhmr.export.formats import DEFAULT, FORMATS
from openhmr.export.place import SIGNATURES, is_ours
from openhmr.people import Frame
from tests.cli_models import Models, one_sentence
from tests.clips import moving_people
from tests.gltf_reader import Glb
from tests.test_people import make_people

ALL = [name for name in FORMATS if name != "trc"]  # whose points the tiny body has not


@pytest.fixture
def results(tmp_path: Path, tiny_body: Body) -> Path:
    """Eleven frames of a person, whose names count to 10."""
    frames = [
        Frame(k, frame.groups, name=f"frame_{k}")
        for k, frame in enumerate(moving_people(tiny_body, [[0]] * 11, tracked=False))
    ]
    with Folder(tmp_path / "frames", DATA, several=True) as folder:
        for frame in frames:
            folder.append(frame)
    tiny_body.save(tmp_path / "body.npz")
    return tmp_path / "frames"


def test_a_folder_of_results_is_a_clip(
    tmp_path: Path, results: Path, tiny_body: Body, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["export", str(results), "--body", str(tmp_path / "body.npz"), "--fps", "25", "--json"]
    assert main([*arguments, "--formats", ",".join(ALL), "--out", str(out)]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert (numbers["frames"], numbers["people"]) == (11, [0])
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert {str(Path(f).relative_to(out)) for f in numbers["files"]} == written
    assert written == {
        *("mesh.glb", "person_0.bvh", "person_0_poses.npz", "person_0.mot"),
        *("joints.csv", "angles.csv", "people.jsonl"),
        *(f"mesh/{k:06d}.{kind}" for k in range(11) for kind in ("obj", "ply")),
        *(f"result/{k:06d}.npz" for k in range(11)),
    }
    glb = Glb.read(out / "mesh.glb")
    times = glb.accessor(glb.document["animations"][0]["samplers"][0]["input"])
    assert_allclose(times[:, 0], np.arange(11) / 25, atol=1e-6)
    # Results of one clip are results again.
    assert results_in(out) == [out / "result" / f"{k:06d}.npz" for k in range(11)]
    assert main([*arguments, "--formats", "joints", "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "joints.csv").read_bytes() == (out / "joints.csv").read_bytes()


def test_one_result_is_a_picture(tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(results / "frame_3"), "--body", str(tmp_path / "body.npz")]
    assert main([*arguments, "--formats", "obj,bvh", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("1 frame, 1 people")
    assert (tmp_path / "out" / "mesh.obj").read_bytes() == (results / "frame_3" / "mesh.obj").read_bytes()
    assert (tmp_path / "out" / "person_0.bvh").exists()


def test_lift_writes_what_is_asked_for(tmp_path: Path, tiny: Models) -> None:
    np.save(tmp_path / "pose.npy", np.random.default_rng(0).uniform(100, 300, (17, 2)))
    command = ["lift", str(tmp_path / "pose.npy"), *tiny.lift("coco"), "--joints", "coco", "--no-pictures"]
    out = tmp_path / "out"
    assert main([*command, "--formats", "bvh, angles,npz", "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"person_0.bvh", "angles.csv", "result.npz"}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (["--formats", "fbx"], "'fbx' is no format; choose of obj, glb"),
        (["--formats", ""], "'' is no format"),
        (["--fps", "0"], "--fps is 0"),
        (["--fps", "nan"], "--fps is nan"),
    ],
)
def test_wrong_options(
    tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str], change: list[str], cause: str
) -> None:
    body = str(tmp_path / "body.npz")
    assert main(["export", str(results), "--body", body, *change, "--out", str(tmp_path / "out")]) == 2
    assert cause in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_wrong_results(tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.npz").write_bytes(b"PK nothing")
    for name, cause in (
        ("empty", "holds no result.npz"),
        ("missing", "does not exist"),
        ("no.npz", "no.npz"),
        ("frames", "not those of the body"),  # without --body
    ):
        assert main(["export", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
        assert cause in one_sentence(capsys)
        assert not (tmp_path / "out").exists()


def test_a_shorter_clip_of_fewer_people_leaves_none_of_a_longer_one(tmp_path: Path, tiny_body: Body) -> None:
    def run(seen: list[list[int]]) -> set[str]:
        with ClipFolder(tmp_path, ["obj", "bvh", "amass", "jsonl"]) as clip:
            for frame in moving_people(tiny_body, seen):
                clip.append(frame)
        return {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}

    assert len(run([[0, 1]] * 3)) == 3 + 2 + 2 + 1
    (tmp_path / "person_1.bvh").write_bytes(b"the user's own")
    assert run([[0]] * 2) == {
        *("mesh/000000.obj", "mesh/000001.obj", "people.jsonl"),
        *("person_0.bvh", "person_0_poses.npz", "person_1.bvh"),
    }
    assert run([[0]]) == {"mesh.obj", "people.jsonl", "person_0.bvh", "person_0_poses.npz", "person_1.bvh"}


def test_help_names_every_format() -> None:
    parser = Parser(prog="x")
    add_formats(parser, ",".join(DEFAULT))
    (line,) = re.findall(r"of ([\w, ]+)\s+\(default", " ".join(parser.format_help().split()))
    assert [name.strip() for name in line.split(",")] == list(FORMATS)
    assert parser.parse_args([]).formats == list(DEFAULT)


@pytest.mark.parametrize("name", FORMATS)
def test_own_files_are_recognised(tmp_path: Path, name: str) -> None:
    """So that a second run replaces them without being asked, and nothing else."""
    frame = moving_people(open_body(), [[0]])[0]
    for _ in range(2):
        with Folder(tmp_path, writers_of([name])) as folder:
            folder.append(frame)
    (written,) = folder.files
    assert is_ours(written)
    written.write_bytes(b"PK the user's own work, of months")
    with pytest.raises(InputError, match="was not written by openhmr"):
        Folder(tmp_path, writers_of([name])).append(frame)
    with pytest.raises(InputError, match="was not written by openhmr"), ClipFolder(tmp_path, [name]) as clip:
        clip.append(frame)
    assert written.read_bytes().startswith(b"PK") and list(tmp_path.iterdir()) == [written]
    with ClipFolder(tmp_path, [name], overwrite=True) as clip:
        clip.append(frame)
    assert clip.files == [written] and is_ours(written) and written.suffix in SIGNATURES


def test_a_failing_clip_leaves_nothing(tmp_path: Path, tiny_body: Body) -> None:
    frames = moving_people(tiny_body, [[0]] * 2)
    with pytest.raises(InputError, match="no body parameters"), ClipFolder(tmp_path / "a" / "b", ALL) as clip:
        clip.append(frames[0])
        clip.append(Frame(1, {"body": make_people(tiny_body, 1, rig=False)}, 1.0))
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt), ClipFolder(tmp_path / "c", ALL) as clip:
        clip.append(frames[0])
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_the_page_names_every_format() -> None:
    page = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    for name, format_ in FORMATS.items():
        file = format_.file.replace("person", "person_0")
        assert re.search(rf"^\| `{name}` \| `{re.escape(file)}`", page, re.MULTILINE), name
