"""The folder sink: all files of a frame or none, nobody else's files replaced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.export.folder import DATA, PICTURES, Folder
from openhmr.export.pictures import Shown
from openhmr.people import Frame, People
from openhmr.render.overlay import Canvas
from tests.test_people import make_people


def frame_of(body: Body, index: int = 0, name: str | None = None) -> Frame:
    return Frame(index, {"body": make_people(body)}, name=name)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_one_frame_fills_the_folder_and_several_a_folder_each(tmp_path: Path, tiny_body: Body) -> None:
    with Folder(tmp_path / "a" / "one", DATA) as sink:
        sink.append(frame_of(tiny_body))
    assert set(files(tmp_path / "a" / "one")) == set(DATA)
    assert sink.files == [tmp_path / "a" / "one" / name for name in sorted(DATA)]
    with Folder(tmp_path / "many", DATA, several=True) as sink:
        sink.append(frame_of(tiny_body, 0, "left.jpg"))
        sink.append(frame_of(tiny_body, 7))
    assert {p.name for p in (tmp_path / "many").iterdir()} == {"left.jpg", "000007"}


def test_pictures_of_an_earlier_run_do_not_stay_beside_new_meshes(tmp_path: Path, tiny_body: Body) -> None:
    Folder(tmp_path, {**DATA, **PICTURES}).append(frame_of(tiny_body))
    assert (tmp_path / "overlay.png").is_file()
    (tmp_path / "pose2d.png").write_bytes(b"the user's own")
    Folder(tmp_path, DATA).append(frame_of(tiny_body))
    assert set(files(tmp_path)) == {*DATA, "pose2d.png"}


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "..", "/root"])
def test_names_stay_in_the_folder(tmp_path: Path, tiny_body: Body, name: str) -> None:
    with (
        Folder(tmp_path / "many", DATA, several=True) as sink,
        pytest.raises(InputError, match="without folders"),
    ):
        sink.append(frame_of(tiny_body, 0, name))
    assert not list(tmp_path.iterdir())


def test_frames_of_one_name_are_not_written_over_each_other(tmp_path: Path, tiny_body: Body) -> None:
    with Folder(tmp_path / "many", DATA, several=True) as sink:
        sink.append(frame_of(tiny_body, 0, "a.jpg"))
        with pytest.raises(InputError, match=r"two frames are called 'a\.jpg'"):
            sink.append(frame_of(tiny_body, 1, "a.jpg"))


def test_parametric_meshes_are_shown_but_everything_is_saved(tmp_path: Path, tiny_body: Body) -> None:
    moved = make_people(tiny_body)
    moved = People(**{**vars(moved), "vertices": moved.vertices + np.float32(0.5)})
    with Folder(tmp_path / "x", DATA, parametric=True) as sink:
        sink.append(Frame(0, {"body": moved}))
    first = next(
        line for line in (tmp_path / "x" / "mesh.obj").read_text().splitlines() if line.startswith("v ")
    )
    shown = moved.parametric().vertices[0, 0] * [1, -1, -1]
    np.testing.assert_allclose(np.array(first.split()[1:], float), shown, atol=1e-5)
    np.testing.assert_array_equal(
        People.load(tmp_path / "x" / "result.npz", tiny_body).vertices, moved.vertices
    )


def failing(path: Path, frame: Frame, shown: Shown) -> None:
    path.write_text("half")
    raise OSError(28, "No space left on device")


def interrupted(path: Path, frame: Frame, shown: Shown) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("writer", "error"), [(failing, InputError), (interrupted, KeyboardInterrupt)])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, tiny_body: Body, writer: object, error: type[BaseException]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new" / "deeper"
    Folder(old, DATA).append(frame_of(tiny_body))
    before = files(tmp_path)
    for out in (old, new):
        with pytest.raises(error):
            Folder(out, {**DATA, "overlay.png": writer}).append(frame_of(tiny_body))  # type: ignore[dict-item]
    assert files(tmp_path) == before and not new.parent.exists()
    assert not any(p.name.startswith(".openhmr") for p in old.iterdir())


def test_pictures_of_a_frame_share_their_canvas(tmp_path: Path, tiny_body: Body) -> None:
    """A photograph is scaled once."""
    seen: list[Canvas] = []

    def watched(path: Path, frame: Frame, shown: Shown) -> None:
        seen.append(shown.canvas)
        PICTURES[path.name](path, frame, shown)

    frame = replace(frame_of(tiny_body), image=np.full((120, 160, 3), 9, np.uint8))
    Folder(tmp_path, dict.fromkeys(PICTURES, watched)).append(frame)
    assert len(seen) == 2 and seen[0] is seen[1] and seen[0].image.shape == (480, 640, 3)


@pytest.mark.parametrize("name", [*DATA, *PICTURES])
def test_files_of_others_are_not_replaced(tmp_path: Path, tiny_body: Body, name: str) -> None:
    writers = {**DATA, **PICTURES}
    (tmp_path / name).write_bytes(b"PK my own work, of months")
    with pytest.raises(InputError, match=f"{name} exists and was not written by openhmr"):
        Folder(tmp_path, writers)
    Folder(tmp_path, {name: writers[name]}, overwrite=True).append(frame_of(tiny_body))
    # What it wrote itself it replaces without being asked.
    Folder(tmp_path, {name: writers[name]}).append(frame_of(tiny_body))


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "mesh.glb").mkdir(parents=True)
    for out, cause in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "is a file"),
        (tmp_path / "taken", "is a folder where a result would go"),
        (tmp_path / "a\0b", "NUL"),
    ):
        with pytest.raises(InputError, match=cause):
            Folder(out, DATA)
