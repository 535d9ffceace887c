"""Frames on disk: what is read is what was seen, and an interrupted run goes on to the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.follow import Follower
from openhmr.io.video import Shot
from openhmr.people import Frame
from openhmr.pipeline import Picture, Pipeline
from openhmr.predict.recover import Recoverer
from openhmr.sequence.recording import Recording, frame_columns
from tests.bright_clips import BrightSpots, frame_of, shots
from tests.tiny_recover import write_tiny_recoverer

PATHS = [(0, 99, 20.0, 6.0), (6, 99, 400.0, -2.0)]
SETTINGS = {"source": "clip", "every": 1}


@pytest.fixture(scope="module")
def recoverer(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> Recoverer:
    return Recoverer(write_tiny_recoverer(tmp_path_factory.mktemp("r") / "m.onnx", tiny_body), tiny_body)


def follower_of(recoverer: Recoverer) -> Follower:
    return Follower(Pipeline(recoverer, detector=BrightSpots(), keep_all=True))


def record(recording: Recording, follower: Follower, source: Iterable[Shot]) -> list[Frame]:
    out = []
    for shot in source:
        frame = follower.frame(shot)
        recording.append(frame, follower.state())
        out += [frame] if frame is not None else []
    recording.flush(follower.state())
    return out


def interrupted(count: int, until: int, skip: int = 0) -> Iterable[Shot]:
    """Frames of the clip, of which some cannot be used; the run ends before frame ``until``."""
    for shot in shots(PATHS, count):
        if shot.number == until:
            raise KeyboardInterrupt
        if shot.number >= skip:
            yield Shot(shot.number, shot.time_s) if shot.number % 10 == 7 else shot


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("chunk", [8, 10, 20])
def test_what_is_read_is_what_was_seen(
    chunk: int, recoverer: Recoverer, tiny_body: Body, tmp_path: Path
) -> None:
    recording = Recording(tmp_path / "r", tiny_body, SETTINGS, chunk=chunk)
    made = record(recording, follower_of(recoverer), interrupted(20, 99))
    assert [p.name for p in recording.files()] == [f"frames_{i:06d}.npz" for i in range(-(-20 // chunk))]
    read = list(recording.frames())
    assert len(made) == len(read) == 18
    for a, b in zip(made, read, strict=True):
        assert (a.index, a.time_s) == (b.index, b.time_s)
        assert_array_equal(a.people.vertices, b.people.vertices)
        for name, value in frame_columns(a).items():
            if not name.endswith("sigma"):
                assert_array_equal(value, frame_columns(b)[name], err_msg=name)
        assert a.people.sigma is not None and b.people.sigma is not None
        assert_array_equal(a.people.sigma.joints, b.people.sigma.joints)
        # The tiny network is as sure of every vertex.
        assert_allclose(b.people.sigma.vertices, a.people.sigma.vertices, rtol=0.3)


@pytest.mark.parametrize("until", [3, 8, 13, 19])
def test_resumed_runs_give_the_same_bytes(
    until: int, recoverer: Recoverer, tiny_body: Body, tmp_path: Path
) -> None:
    record(
        Recording(tmp_path / "whole", tiny_body, SETTINGS, chunk=8),
        follower_of(recoverer),
        interrupted(20, 99),
    )
    with pytest.raises(KeyboardInterrupt):
        record(
            Recording(tmp_path / "cut", tiny_body, SETTINGS, chunk=8),
            follower_of(recoverer),
            interrupted(20, until),
        )
    rest, follower = (
        Recording(tmp_path / "cut", tiny_body, SETTINGS, resume=True, chunk=8),
        follower_of(recoverer),
    )
    assert rest.taken == until // 8 * 8
    if rest.taken:
        follower.restore(rest.state)
    record(rest, follower, interrupted(20, 99, rest.taken))
    assert files(tmp_path / "whole") == files(tmp_path / "cut")


def test_other_settings_are_refused(recoverer: Recoverer, tiny_body: Body, tmp_path: Path) -> None:
    record(Recording(tmp_path / "r", tiny_body, SETTINGS, chunk=4), follower_of(recoverer), shots(PATHS, 9))
    with pytest.raises(InputError, match="holds the frames of an earlier run"):
        Recording(tmp_path / "r", tiny_body, SETTINGS)
    with pytest.raises(InputError, match="was begun with every = 1, now it is 2"):
        Recording(tmp_path / "r", tiny_body, {**SETTINGS, "every": 2}, resume=True)
    (tmp_path / "r" / "frames_000001.npz").unlink()
    with pytest.raises(InputError, match="lacks a file between"):
        Recording(tmp_path / "r", tiny_body, SETTINGS, resume=True)
    (tmp_path / "r" / "frames_000002.npz").unlink()
    np.savez(tmp_path / "r" / "frames_000000.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="no part of a recording"):
        Recording(tmp_path / "r", tiny_body, SETTINGS, resume=True)
    (tmp_path / "r" / "clip.json").write_text("[]")
    with pytest.raises(InputError, match="not written by this version"):
        Recording(tmp_path / "r", tiny_body, SETTINGS, resume=True)


def test_people_without_ids_are_refused(recoverer: Recoverer, tiny_body: Body, tmp_path: Path) -> None:
    frame = Pipeline(recoverer, detector=BrightSpots(), keep_all=True).frame(Picture(frame_of(PATHS, 0)))
    with pytest.raises(InputError, match="track ids"):
        Recording(tmp_path / "r", tiny_body, SETTINGS).append(frame, {})
