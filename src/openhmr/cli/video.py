"""``openhmr video``: people in a video, or in another sequence, to moving 3D meshes."""

import argparse
import hashlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_camera, add_model, folder, names, positive
from openhmr.errors import InputError, NothingFound

if TYPE_CHECKING:
    from openhmr.camera import Camera
    from openhmr.export.folder import ClipFolder
    from openhmr.export.sink import Sink
    from openhmr.follow import Follower
    from openhmr.io.sequences import Source
    from openhmr.people import Frame
    from openhmr.pipeline import Pipeline
    from openhmr.sequence.recording import Recording

log = logging.getLogger(__name__)

FORMATS = ("npz", "mp4", "glb")
"""What is written where nobody asks for less or more."""
_TABLE, _OVERLAY = "npz", "mp4"
"""Of a video alone; the other formats are those of all commands."""
_SHORTEST = 3
"""People who were seen in fewer frames are left out of the results."""
_EXAMPLES = """examples:
  openhmr video dance.mp4 --out out/dance
  openhmr video dance.mp4 --start 12 --end 20 --every 2 --out out/part
  openhmr video dance.mp4 --resume --out out/dance
  openhmr video 'frames/*.jpg' --fps 25 --formats npz --out out/frames
  openhmr video openpose_json/ --fps 50 --formats glb,bvh,angles --out out/lifted
  openhmr video 0 --end 10 --out out/webcam

SOURCE is a video, the number of a webcam, a folder of pictures or of files of 2D poses (a frame each), or a
pattern of their names in quotes. Everybody keeps a number over the clip. OUT receives person_N.npz for each
of them (pose, shape, place, joints, times), overlay.mp4, mesh.glb with their skinned and animated meshes, and
in frames/ what an interrupted run goes on from with --resume. More formats: docs/formats.md."""


def add_command(commands: Any) -> None:
    about = "Everybody in a video, in pictures of a clip, or in files of 2D poses, over time."
    video = commands.add_parser("video", help="videos to moving meshes", description=about, epilog=_EXAMPLES)
    video.add_argument("source", metavar="SOURCE", help="a video, a webcam's number, a folder or a pattern")
    video.add_argument("--start", type=seconds, default=0.0, metavar="S", help="seconds to begin at")
    video.add_argument("--end", type=seconds, default=math.inf, metavar="S", help="seconds to end before")
    video.add_argument("--every", type=positive, default=1, metavar="N", help="use every Nth frame")
    video.add_argument(
        "--fps", type=float, metavar="N", help="frames a second of pictures and pose files (default: 30)"
    )
    video.add_argument(
        "--raw", action="store_true", help="each frame as it was seen, not made smooth over time"
    )
    video.add_argument("--resume", action="store_true", help="go on with an interrupted run of the same clip")
    video.add_argument(
        "--formats",
        type=names,
        default=FORMATS,
        metavar="LIST",
        help=f"of npz, mp4, glb, obj, ply, bvh, amass, trc, mot, joints, angles, jsonl (default: "
        f"{','.join(FORMATS)})",
    )
    video.add_argument("--joints", metavar="SET", help="joint set of 2D poses, where the files do not tell")
    video.add_argument(
        "--lift-model", type=Path, metavar="FILE", help="Pose2Mesh for 2D poses (default: the shipped one)"
    )
    add_camera(video, "52 degrees")
    add_model(video)
    video.add_argument(
        "--out", type=folder, metavar="DIR", required=True, help="folder for the results; made if missing"
    )
    video.add_argument("--overwrite", action="store_true", help="discard an earlier run in DIR")
    video.add_argument("--json", action="store_true", help="print a machine-readable summary")
    video.set_defaults(run=run)


def seconds(text: str) -> float:
    """Seconds from 0 on, also as minutes:seconds."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= p < 1e9 for p in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, such as 12.5, or 1:30")
    return sum(p * 60**i for i, p in enumerate(reversed(parts)))


def run(options: argparse.Namespace) -> None:
    from openhmr.cli.running import camera_for, networks_of
    from openhmr.follow import Follower
    from openhmr.io.sequences import FPS, open_sequence
    from openhmr.io.video import Span, Webcam
    from openhmr.joints import get_joint_set
    from openhmr.pipeline import Pipeline

    started = time.perf_counter()
    fps = FPS if options.fps is None else options.fps
    span = Span(options.start, options.end, options.every)
    joints = None if options.joints is None else get_joint_set(options.joints)
    camera = camera_for(options, None, None)
    size = None if camera is None else camera.image_size
    source = open_sequence(options.source, span, fps=fps, joint_set=joints, image_size=size)
    clip = _clip(options, source)
    if options.resume and isinstance(source, Webcam):
        raise InputError(f"--resume is of no use with webcam {options.source}: what it saw is gone")
    pipeline = Pipeline(*networks_of(options))
    recording = _recording(options, pipeline, source)
    follower = Follower(pipeline, camera or _of_focal(options, source))
    if recording.taken:
        follower.restore(recording.state)
    rest = source if isinstance(source, Webcam) else replace(source, skip=recording.taken)
    numbers = _record(follower, rest, recording, options)
    numbers |= _export(recording, source, follower.camera, clip, options)
    numbers["seconds"] = round(time.perf_counter() - started, 2)
    _print(numbers, options)


def _clip(options: argparse.Namespace, source: "Source") -> "ClipFolder | None":
    """The sink of all formats that are not a video's alone, checked before anything is computed."""
    from openhmr.export.folder import ClipFolder

    others = [name for name in options.formats if name not in (_TABLE, _OVERLAY)]
    if not others:
        return None
    return ClipFolder(options.out, others, rate_hz=source.fps, overwrite=options.overwrite)


def _of_focal(options: argparse.Namespace, source: "Source") -> "Camera | None":
    """The camera of ``--focal``; None where nothing is known of it."""
    from openhmr.cli.running import camera_for

    if options.focal is None:
        return None
    first = next(iter(source))
    if first.image is None:
        size = None if first.keypoints is None else first.keypoints.image_size
    else:
        size = (first.image.shape[0], first.image.shape[1])
    if size is None:
        raise InputError(
            "--focal needs the size of the pictures, which these poses do not tell; give --camera"
        )
    return camera_for(options, size, None)


def _recording(options: argparse.Namespace, pipeline: "Pipeline", source: "Source") -> "Recording":
    from importlib.metadata import version

    from openhmr.sequence.recording import Recording, discard

    settings = {
        "source": _fingerprint(source),
        "start": options.start,
        "end": str(options.end),
        "every": options.every,
        "fps": options.fps,
        "focal": options.focal,
        "openhmr": version("openhmr"),
    }
    settings |= {
        n: str(getattr(options, n))
        for n in ("camera", "camera_name", "joints", "model", "lift_model", "body")
    }
    assert pipeline.recoverer is not None
    folder, body = options.out / "frames", pipeline.recoverer.body
    if options.overwrite and not options.resume:
        discard(folder)
    return Recording(folder, body, settings, resume=options.resume)


def _fingerprint(source: "Source") -> str:
    """What tells a source from another one: the first megabyte and the size of a video, names of files."""
    from openhmr.io.sequences import PoseFile
    from openhmr.io.video import Video, Webcam

    if isinstance(source, Webcam):
        return f"webcam {source.index}"
    if isinstance(source, Video | PoseFile):
        with source.path.open("rb") as file:
            digest = hashlib.sha256(file.read(1 << 20)).hexdigest()[:16]
        return f"{digest} {source.path.stat().st_size}"
    names = "\n".join(f"{p.name} {p.stat().st_size}" for p in source.paths)
    return f"{hashlib.sha256(names.encode()).hexdigest()[:16]} {len(source.paths)} files"


def _record(
    follower: "Follower", source: "Source", recording: "Recording", options: argparse.Namespace
) -> dict[str, Any]:
    """Find everybody, frame by frame, with a progress bar."""
    from tqdm import tqdm

    from openhmr.cli.printing import printable
    from openhmr.io.video import Webcam

    done, expected = recording.taken, source.expected
    name = printable(Path(options.source).name)
    with tqdm(total=expected, initial=done, desc=name, unit="frame", disable=None) as bar:
        try:
            for shot in source:
                recording.append(follower.frame(shot), follower.state())
                bar.update()
        except KeyboardInterrupt:
            if not isinstance(source, Webcam):
                raise
            log.warning("stopped; what the webcam saw until now is written")
    recording.flush(follower.state())
    return {"frames": recording.taken, "resumed_at": done, "searches": follower.searches}


def _export(
    recording: "Recording",
    source: "Source",
    camera: "Camera | None",
    clip: "ClipFolder | None",
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Write the results from the recording, and the numbers of a summary."""
    from tqdm import tqdm

    from openhmr.sequence.recording import discard
    from openhmr.sequence.smooth_clip import smooth_clip

    lengths = dict[int, int]()
    for frame in recording.frames():
        for i in frame.people.track_ids.tolist() if frame.people.track_ids is not None else ():
            lengths[i] = lengths.get(i, 0) + 1
    kept = {i: n for i, n in lengths.items() if n >= min(_SHORTEST, recording.taken)}
    if not kept:
        discard(recording.folder)
        raise NothingFound(f"nobody was found in {options.source}; give another clip, or another part of it")
    sinks, files = _sinks(options, source)
    sinks += [] if clip is None else [clip]
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        shown: Iterable[Frame] = (_of(frame, kept) for frame in recording.frames())
        shown = shown if options.raw else smooth_clip(shown)
        if _OVERLAY in options.formats:
            shown = _with_pictures(shown, source, camera)
        for frame in tqdm(shown, total=recording.taken, desc="writing", unit="frame", disable=None):
            for sink in sinks:
                sink.append(frame)
    files += [options.out / f"person_{i}.npz" for i in sorted(kept)] if _TABLE in options.formats else []
    files += [] if clip is None else clip.files
    return {
        "people": len(kept),
        "tracks": [{"id": i, "frames": n} for i, n in sorted(kept.items())],
        "files": [str(f) for f in files],
    }


def _sinks(options: argparse.Namespace, source: "Source") -> "tuple[list[Sink], list[Path]]":
    from openhmr.export.persons import PersonsSink
    from openhmr.export.video import OverlaySink

    sinks, files = list["Sink"](), list[Path]()
    if _TABLE in options.formats:
        sinks.append(PersonsSink(options.out))
    if _OVERLAY in options.formats:
        files.append(options.out / "overlay.mp4")
        sinks.append(OverlaySink(files[-1], min(source.fps / source.span.every, 60.0)))
    return sinks, files


def _of(frame: "Frame", kept: dict[int, int]) -> "Frame":
    """The frame with those of its people who are ``kept``."""
    import numpy as np

    ids = frame.people.track_ids
    rows = [] if ids is None else [row for row, i in enumerate(ids) if int(i) in kept]
    return replace(frame, groups={"body": frame.people[np.array(rows, int)]})


def _with_pictures(frames: "Iterable[Frame]", source: "Source", camera: "Camera | None") -> "Iterator[Frame]":
    """The frames, each with the picture that it was seen in; a webcam's are gone."""
    from openhmr.io.video import Webcam

    shots = iter(()) if isinstance(source, Webcam) else iter(source)
    for frame in frames:
        shot = next((s for s in shots if s.number == frame.index), None)
        image = None if shot is None else shot.image
        if image is not None and camera is not None:
            image = camera.undistort_image(image)
        yield replace(frame, image=image)


def _print(numbers: dict[str, Any], options: argparse.Namespace) -> None:
    import json

    from openhmr.cli.printing import listed, printable

    if options.json:
        print(json.dumps(numbers))
        return
    for track in numbers["tracks"]:
        print(f"person {track['id']}: {track['frames']} frames")
    files = listed(numbers["files"], options.out)
    print(
        printable(
            f"{numbers['people']} people in {numbers['frames']} frames; {numbers['seconds']} s\n"
            f"wrote to {options.out}: {files}"
        )
    )
