"""Videos and other sequences as streams: frames by the numbers that are painted into them, with true times.

The files in data/clips were encoded by PyAV 18.1 (x264, x265, libvpx): each frame has red, green, blue and
yellow corners and, across the middle, its number in eight black or white cells, the lowest bit first.
"""

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from openhmr.errors import InputError
from openhmr.io.sequences import Files, open_sequence
from openhmr.io.video import Shot, Span, Video, Webcam
from openhmr.joints import COCO

CLIPS = Path(__file__).parent / "data" / "clips"
UNEVEN = [0, 0.1, 0.15, 0.5, 0.55, 0.6, 1.0, 1.2, 1.3, 2.0, 2.1, 2.2]
CORNERS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (200, 200, 30)}


def painted(image: np.ndarray) -> int:
    """The number in the middle of an upright frame."""
    height, width = image.shape[:2]
    cells = image[height // 2, (np.arange(8) * 2 + 1) * width // 16].mean(-1)
    return int(((cells > 128) << np.arange(8)).sum())


def corners(image: np.ndarray) -> list[str]:
    """The colours of the four corners, row by row."""
    height, width = image.shape[:2]
    at = [(height // 8, width // 8), (height // 8, -width // 8), (-height // 8, width // 8)]
    seen = [image[y, x].astype(int) for y, x in (*at, (-height // 8, -width // 8))]
    return [min(CORNERS, key=lambda name: np.abs(CORNERS[name] - s).sum()) for s in seen]


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("h264.mp4", np.arange(12) / 10),
        ("variable.mp4", UNEVEN),
        ("hevc_10bit.mp4", np.arange(12) / 10),
        ("vp9.webm", np.arange(12) / 10),
        ("long.mp4", np.arange(60) / 10),
        ("4k.mp4", np.arange(2) / 10),
    ],
)
def test_every_frame_with_its_own_time(name: str, times: list[float]) -> None:
    video = Video(CLIPS / name)
    shots = list(video)
    assert [s.number for s in shots] == [painted(s.image) for s in shots] == list(range(len(times)))
    assert_allclose([s.time_s for s in shots], times, atol=1e-3)
    assert video.expected == len(times) and video.size == shots[0].image.shape[:2]
    assert all(corners(s.image) == list(CORNERS) for s in shots)
    assert all(s.image.dtype == np.uint8 for s in shots)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_rotation_of_the_container(times: int, tmp_path: Path) -> None:
    """ISO 14496-12, the matrix of the track's header: a phone that was held sideways."""
    data = bytearray((CLIPS / "h264.mp4").read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16
    one = 1 << 16
    matrix = {
        1: (0, one, 0, -one, 0, 0, 48 * one, 0),
        2: (-one, 0, 0, 0, -one, 0, 64 * one, 48 * one),
        3: (0, -one, 0, one, 0, 0, 0, 64 * one),
    }[times]
    data[at : at + 36] = struct.pack(">9i", *matrix, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    video = Video(tmp_path / "turned.mp4")
    shots = list(video)
    back = [np.rot90(s.image, times) for s in shots]  # counter-clockwise; the matrix turned clockwise
    assert video.size == shots[0].image.shape[:2] == ((48, 64) if times == 2 else (64, 48))
    assert [painted(image) for image in back] == list(range(12)) and corners(back[0]) == list(CORNERS)


def test_a_part_and_every_third_frame() -> None:
    video = Video(CLIPS / "long.mp4", Span(1.0, 3.0, 3))
    assert [s.number for s in video] == list(range(10, 30, 3)) and video.expected == 7
    rest = Video(CLIPS / "long.mp4", Span(1.0, 3.0, 3), skip=4)
    assert [painted(s.image) for s in rest] == [22, 25, 28]


@pytest.mark.parametrize("share", [0.6, 0.7, 0.95])
def test_a_file_cut_short_gives_what_it_has(
    share: float, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = (CLIPS / "long.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(len(data) * share)])
    read = [painted(s.image) for s in Video(tmp_path / "cut.mp4")]
    assert 0 < len(read) < 60 and read == list(range(len(read)))
    assert f"ends after {len(read)} of its 60 frames" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_what_is_no_video(tmp_path: Path) -> None:
    whole = (CLIPS / "h264.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])  # its index was at the end
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, reason in {
        "half.mp4": "cannot be opened as a video",
        "text.mp4": "no video that is read",
        "list.mp4": "no video that is read",
        "empty.mp4": "no video that is read",
        "absent.mp4": "not an existing file",
        "a\0b": "not an existing file",
    }.items():
        with pytest.raises(InputError, match=reason):
            Video(tmp_path / name)
    with pytest.raises(InputError, match=r"none of them from 50 s on"):
        list(Video(CLIPS / "h264.mp4", Span(50)))


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_end_in_a_sentence_or_in_frames(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    name = ("h264.mp4", "variable.mp4", "hevc_10bit.mp4", "vp9.webm")[seed % 4]
    data = np.frombuffer((CLIPS / name).read_bytes(), np.uint8).copy()
    where = rng.integers(8, len(data), 1 + seed)
    data[where] = rng.integers(0, 256, len(where))
    (tmp_path / name).write_bytes(data.tobytes())
    try:
        for shot in Video(tmp_path / name):
            assert shot.image is not None and shot.number < 100
    except InputError as error:
        assert name in str(error)


def test_spans_that_hold_nothing() -> None:
    for wrong in ((-1, 2), (3, 3), (5, 2), (float("nan"), 2), (float("inf"), float("inf"))):
        with pytest.raises(InputError, match="give seconds"):
            Span(*wrong)
    with pytest.raises(InputError, match="whole number above 0"):
        Span(every=0)


def picture(path: Path, grey: int) -> None:
    Image.fromarray(np.full((40, 60, 3), grey, np.uint8)).save(path)


def test_pictures_in_the_order_of_their_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in (10, 9, 1, 2):
        picture(tmp_path / f"f{i}.png", i)
    (tmp_path / "f3.png").write_bytes(b"broken")
    for source in (str(tmp_path), str(tmp_path / "f*.png")):
        caplog.clear()
        shots = list(open_sequence(source, fps=10))
        assert [s.name for s in shots] == ["f1", "f2", "f3", "f9", "f10"]
        assert [s.image is None or int(s.image[0, 0, 0]) for s in shots] == [1, 2, True, 9, 10]
        assert_allclose([s.time_s for s in shots], np.arange(5) / 10)
        assert "f3.png is skipped" in caplog.text
    part = open_sequence(str(tmp_path), Span(0.1, 0.5, 2), fps=10)
    assert isinstance(part, Files) and [s.number for s in part] == [1, 3] and part.expected == 2


def test_poses_a_frame_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    flat = [float(v) for i in range(25) for v in (100 + i, 200 + i, 0.9)]
    for i in range(3):
        people = [] if i == 1 else [{"pose_keypoints_2d": flat}]
        text = str({"version": 1.3, "people": people}).replace("'", '"')
        (tmp_path / f"clip_{i:012d}_keypoints.json").write_text(text)
    shots: list[Shot] = list(open_sequence(str(tmp_path), fps=50))
    assert [s.keypoints is not None for s in shots] == [True, False, True]
    assert shots[2].keypoints is not None and len(shots[2].keypoints) == 1 and shots[2].time_s == 0.04
    assert not caplog.text


def test_a_file_of_frames(tmp_path: Path) -> None:
    """An array of two people over three frames, of whom the second comes later, and the same as CSV."""
    rng = np.random.default_rng(0)
    poses = np.concatenate([rng.uniform(50, 400, (3, 2, 17, 2)), np.ones((3, 2, 17, 1))], -1)
    poses[0, 1] = 0
    np.save(tmp_path / "poses.npy", poses)
    names = COCO.base
    lines = ["frame,person,joint,x,y,score"]
    for t, n, j in np.ndindex(3, 2, 17):
        if poses[t, n, j, 2]:
            lines.append(f"{10 + 2 * t},{n},{names[j]},{poses[t, n, j, 0]},{poses[t, n, j, 1]},1")
    (tmp_path / "poses.csv").write_text("\n".join(lines))
    for name, numbers in (("poses.npy", [0, 1, 2]), ("poses.csv", [0, 2, 4])):
        source = open_sequence(str(tmp_path / name), fps=10, joint_set=COCO)
        shots = [s for s in source if s.keypoints is not None]
        assert [s.number for s in shots] == numbers and source.expected == numbers[-1] + 1
        assert [len(s.keypoints) for s in shots if s.keypoints] == [1, 2, 2]
        for shot, truth in zip(shots, poses, strict=True):
            assert shot.keypoints is not None
            assert_allclose(shot.keypoints.points[:, :17], truth[: len(shot.keypoints)], atol=1e-3)
    np.save(tmp_path / "one.npy", poses[:, 0])
    assert [
        s.number for s in open_sequence(str(tmp_path / "one.npy"), Span(0.1), fps=10, joint_set=COCO)
    ] == [1, 2]
    for wrong in (np.zeros((3, 17, 3)), np.zeros(5), np.zeros((2, 2, 2, 17, 3)), np.full((2, 17, 3), "a")):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(InputError, match="wrong.npy"):
            list(open_sequence(str(tmp_path / "wrong.npy"), joint_set=COCO))


def test_what_is_no_sequence(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    np.save(tmp_path / "b.npy", np.full((17, 3), 0.5))
    (tmp_path / "empty").mkdir()
    for source, reason in {
        str(tmp_path / "empty"): "holds no pictures",
        str(tmp_path / "*.jpg"): "fits no picture",
        str(tmp_path / "*.*"): "pictures and files of 2D poses",
        "a\0b": "NUL character",
        str(tmp_path / "absent"): "not an existing file",
    }.items():
        with pytest.raises(InputError, match=reason):
            open_sequence(source)
    with pytest.raises(InputError, match="frames a second"):
        open_sequence(str(tmp_path), fps=0)
    assert isinstance(open_sequence("0"), Webcam)
    with pytest.raises(InputError, match="there is no camera 63"):
        list(Webcam(63))
