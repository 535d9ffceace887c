"""Batches: what is in a source, each result exactly once whatever ends a run, the same bytes from anybody."""

import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from openhmr.batch.items import list_items
from openhmr.batch.on_ray import PartWorker, part_rows, run_on_ray
from openhmr.batch.run import Batch, open_batch, run, write_manifest
from openhmr.batch.worker import Models, part_path
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.io.photos import camera_of, photo_of
from openhmr.people import People
from openhmr.pipeline import Picture
from tests.cli_models import Models as Tiny
from tests.cli_models import one_sentence
from tests.tiny_recover import write_tiny_recoverer

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def models(tiny: Tiny) -> Models:
    lift = tiny.lift("coco")
    recoverer = write_tiny_recoverer(tiny.folder / "recover.onnx", tiny.body)
    return Models(str(recoverer), lift[1], lift[3])


def shifted(pixels: int) -> Image.Image:
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as saved:
        return Image.fromarray(np.roll(saved["picture"], pixels, axis=1))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four pictures of somebody, one that is none, and 2D poses of two skeletons."""
    folder = tmp_path / "source"
    (folder / "more").mkdir(parents=True)
    for i in range(3):
        shifted(5 * i).save(folder / "more" / f"p.{i}.png")
    shifted(20).save(folder / "a.png")
    (folder / "b.jpg").write_text("hello")
    shutil.copy(EXAMPLES / "coco_skier.json", folder / "c.json")
    shutil.copy(EXAMPLES / "human36_pose.npy", folder / "d.npy")
    (folder / "notes.txt").write_text("not an item")
    return folder


KEYS = ["a", "b", "c", "d", "more/p_0", "more/p_1", "more/p_2"]


def finished(batch: Batch, workers: int = 1) -> dict[str, bytes]:
    for _ in run(batch, workers):
        pass
    write_manifest(batch)
    return {path.name: path.read_bytes() for path in batch.out.iterdir()}


def test_folders_lists_and_shards_are_the_same_items(tmp_path: Path, source: Path) -> None:
    items = list_items(source)
    assert [i.key for i in items] == KEYS and [i.name for i in items][4] == "more/p.0.png"
    (tmp_path / "list.txt").write_text("# two\n\nsource/a.png\nsource/more/p.1.png\nsource/gone.png\n")
    assert [i.key for i in list_items(tmp_path / "list.txt")] == [
        "source/a",
        "source/more/p_1",
        "source/gone",
    ]
    shutil.copy(source / "a.png", source / "a.webp")
    assert [i.key for i in list_items(source)][:3] == ["a_png", "a_webp", "b_jpg"]
    (tmp_path / "shards").mkdir()
    for shard, name in (("2.tar", "x/000.png"), ("10.tar", "../y/000.png")):
        with tarfile.open(tmp_path / "shards" / shard, "w") as tar:
            tar.add(source / "a.png", name)
            tar.add(source / "notes.txt", "x/000.txt")
    items = list_items(tmp_path / "shards")
    assert [i.key for i in items] == ["2.tar/x/000", "10.tar/y/000"]
    for item in items:
        data = item.path.read_bytes()[item.start : item.start + item.size]
        assert data == (source / "a.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none", None, "does not exist; give a folder, a list of paths or a shard"),
        ("a.jpg", b"x", "is a single file; give a folder"),
        ("list.txt", b"a.jpg\na.jpg\n", "has 'a.jpg' twice"),
        ("list.txt", b"a.doc\n", "lists 'a.doc', which is no picture"),
        ("list.txt", b"\xff\xfe\x00", "is no text file with a path on each line"),
        ("list.txt", b"\n", "holds no pictures and no files of 2D poses"),
        ("list.txt", b"x.y.jpg\nx_y.png\nx_y_png.jpg\nx.y.png", "two files that would be called"),
        ("s.tar", b"not a tar file", "is no readable shard .*uncompressed tar"),
        ("s.tar", b"", "is no readable shard"),
        ("mixed", ("a.tar", "a.jpg"), "holds shards .* and other files"),
    ],
)
def test_a_sentence_says_what_is_wrong_with_a_source(
    tmp_path: Path, name: str, content: bytes | tuple[str, ...] | None, says: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content:
        (tmp_path / name).mkdir()
        for file in content:
            (tmp_path / name / file).write_text("x")
    with pytest.raises(InputError, match=says):
        list_items(tmp_path / name)


def test_results_are_those_of_the_pipeline(tmp_path: Path, source: Path, models: Models) -> None:
    batch = open_batch(tmp_path / "out", list_items(source), models, per_part=3)
    files = finished(batch)
    rows = [json.loads(line) for line in files["manifest.jsonl"].splitlines()]
    assert [row["key"] for row in rows] == KEYS
    assert [row["part"] for row in rows] == [f"part-{i // 3:06d}.tar" for i in range(7)]
    assert [row.get("people") for row in rows] == [1, None, 1, None, 1, 1, 1]
    assert "b.jpg is not a readable picture" in rows[1]["error"] and str(tmp_path) not in rows[1]["error"]
    assert "17 joints, as several joint sets have" in rows[3]["error"]
    pipeline = models.pipeline()
    for row in rows:
        with tarfile.open(fileobj=io.BytesIO(files[row["part"]])) as part:
            names = part.getnames()
            assert f"{row['key']}.json" in names
            assert (f"{row['key']}.npz" in names) == bool(row.get("people"))
            if not row["source"].endswith(".png"):
                continue
            part.extract(f"{row['key']}.npz", tmp_path / "x", filter="data")
        picture = photo_of(source / row["source"])
        alone = pipeline.frame(Picture(picture.image, camera=camera_of(picture))).people
        loaded = People.load(tmp_path / "x" / f"{row['key']}.npz", alone.body)
        assert_array_equal(loaded.vertices, alone.vertices)
        assert_array_equal(loaded.camera.K, alone.camera.K)


def test_whoever_makes_the_parts_the_bytes_are_the_same(tmp_path: Path, source: Path, models: Models) -> None:
    """One process, two, or first one and then the other; from the folder or from a shard."""
    items = list_items(source)
    alone = finished(open_batch(tmp_path / "one", items, models, per_part=2))
    assert finished(open_batch(tmp_path / "two", items, models, per_part=2), workers=2) == alone
    half = open_batch(tmp_path / "half", items, models, per_part=2)
    for number, _ in enumerate(run(half)):
        assert part_path(half.out, number).exists()
        if number == 1:
            break
    (half.out / ".part-000002-abc.tar").write_bytes(b"unfinished")
    with pytest.raises(InputError, match="lacks 2 parts; run the batch again"):
        write_manifest(half)
    first = part_path(half.out, 0).stat().st_mtime_ns
    again = open_batch(tmp_path / "half", items, models, per_part=2)
    assert again.missing == [2, 3]
    assert finished(again) == alone
    assert part_path(half.out, 0).stat().st_mtime_ns == first, "what is done is not done again"


def test_a_folder_holds_one_batch(tmp_path: Path, source: Path, models: Models) -> None:
    items, out = list_items(source)[:2], tmp_path / "out"
    files = finished(open_batch(out, items, models))
    with pytest.raises(InputError, match="other items and content; choose another folder"):
        open_batch(out, items[:1], models)
    with pytest.raises(InputError, match="other per_part"):
        open_batch(out, items, models, per_part=7)
    (out / "part-000000.tar").write_bytes(files["part-000000.tar"][:700])
    with pytest.raises(InputError, match="is damaged .*; delete it and run again"):
        write_manifest(open_batch(out, items, models))
    assert finished(open_batch(out, items, models, overwrite=True)) == files
    with pytest.raises(InputError, match="takes no photos"):
        Models(str(models.lifter), models.lifter, models.body).pipeline()
    assert Models(models.recoverer, None, models.body).pipeline().lifter is None


def test_a_killed_run_goes_on(tmp_path: Path, source: Path, models: Models) -> None:
    """Killed without warning while two workers are busy: they end too; the next run makes the same bytes."""
    items, out = list_items(source), tmp_path / "out"
    alone = finished(open_batch(tmp_path / "one", items, models, per_part=1))
    command = [sys.executable, "-m", "openhmr", "batch", str(source), "--out", str(out), "--workers", "2"]
    command += ["--per-part", "1", "--model", models.recoverer, "--lift-model", str(models.lifter)]
    command += ["--body", str(models.body), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while process.poll() is None and not any(out.glob("part-*.tar")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The pipe is closed when no worker holds it any more.
    assert process.stdout is not None and process.stdout.read() == b""
    process.stdout.close()
    made = subprocess.run(command, capture_output=True, check=True)
    numbers = json.loads(made.stdout)
    assert numbers["items"] == 7 and numbers["errors"] == 2 and numbers["people"] == 5
    assert {path.name: path.read_bytes() for path in out.iterdir()} == alone


def test_the_command(
    tmp_path: Path, source: Path, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", models.recoverer, "--lift-model", str(models.lifter), "--body", str(models.body)]
    options += ["--workers", "1", "--out", str(tmp_path / "out")]
    assert main(["batch", str(source), *options]) == 0
    assert "7 items: 5 people; nobody in 0, 2 errors" in capsys.readouterr().out
    assert main(["batch", str(source), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done_before"] == 7
    assert main(["batch", str(source), *options, "--per-part", "2"]) == 2
    assert "holds a batch with other per_part" in one_sentence(capsys)
    assert main(["batch", str(source), *options[:-1], str(source / "out")]) == 2
    assert "lies in" in one_sentence(capsys)
    (tmp_path / "file").write_text("")
    assert main(["batch", str(source), *options[:-1], str(tmp_path / "file")]) == 2
    assert "cannot be used" in one_sentence(capsys)


def test_rays_worker_makes_the_same_bytes(tmp_path: Path, source: Path, models: Models) -> None:
    """On rows as Ray Data hands them out; also of a shard."""
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        shard.add(source / "a.png", "x/a.png")
    for items in (list_items(source)[:3], list_items(tmp_path / "s.tar")):
        name = items[0].key.replace("/", "_")
        alone = finished(open_batch(tmp_path / f"one {name}", items, models, per_part=2))
        batch = open_batch(tmp_path / f"ray {name}", items, models, per_part=2)
        worker = PartWorker(str(batch.out), models)
        rows = [row for part in part_rows(batch) for row in json.loads(worker(part)["rows"])]
        assert [row["key"] for row in rows] == [item.key for item in items] and not part_rows(batch)
        write_manifest(batch)
        assert {path.name: path.read_bytes() for path in batch.out.iterdir()} == alone


def test_ray_makes_the_same_bytes(tmp_path: Path, source: Path, models: Models) -> None:
    ray = pytest.importorskip("ray")
    items = list_items(source)
    alone = finished(open_batch(tmp_path / "one", items, models, per_part=2))
    batch = open_batch(tmp_path / "ray", items, models, per_part=2)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        rows = [row for part in run_on_ray(batch, workers=2) for row in part]
    finally:
        ray.shutdown()
    assert sorted(row["key"] for row in rows) == KEYS
    write_manifest(batch)
    assert {path.name: path.read_bytes() for path in batch.out.iterdir()} == alone


@pytest.mark.skipif(shutil.which("ray") is not None, reason="Ray is installed")
def test_without_ray_a_sentence_says_so(tmp_path: Path, source: Path, models: Models) -> None:
    batch = open_batch(tmp_path / "out", list_items(source), models)
    with pytest.raises(InputError, match=r"Ray is not installed \(ray\); run: pip install 'openhmr\[ray\]'"):
        next(run_on_ray(batch))
