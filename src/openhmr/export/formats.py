"""The formats that frames are written in: the only table of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openhmr.errors import InputError
from openhmr.export.amass import write_amass
from openhmr.export.bvh import write_bvh
from openhmr.export.files import SequenceSink
from openhmr.export.glb import GlbSink
from openhmr.export.motion import MotionSink
from openhmr.export.obj import write_obj
from openhmr.export.opensim import TrcSink, write_mot
from openhmr.export.pictures import Shown
from openhmr.export.ply import write_ply
from openhmr.export.sink import Sink
from openhmr.export.tables import angles_csv, joints_csv, json_lines
from openhmr.people import Frame


@dataclass(frozen=True)
class Format:
    """A ``file``, in whose name ``person`` stands for each person's, or for a folder of the frames' in a
    clip (``mesh.obj``: ``mesh/000000.obj``); ``about`` it; and ``sink(path, rate_hz)``, which writes it, of
    frames that follow each other at that rate where they tell no time."""

    file: str
    about: str
    sink: Callable[[Path, float], Sink]


FORMATS: Mapping[str, Format] = {
    "obj": Format(
        "mesh.obj",
        "meshes; of a clip one a frame",
        lambda path, rate: SequenceSink(path, lambda out, frame: write_obj(out, frame.people)),
    ),
    "glb": Format(
        "mesh.glb", "skinned meshes on skeletons, animated: for Blender, three.js, engines", GlbSink
    ),
    "npz": Format(
        "result.npz",
        "everything, for openhmr and numpy; of a clip one a frame",
        lambda path, rate: SequenceSink(path, lambda out, frame: frame.people.save(out)),
    ),
    "ply": Format(
        "mesh.ply",
        "meshes with colours; of a clip one a frame",
        lambda path, rate: SequenceSink(path, lambda out, frame: write_ply(out, frame.people)),
    ),
    "bvh": Format("person.bvh", "skeletons in motion", lambda path, rate: MotionSink(path, write_bvh, rate)),
    "amass": Format(
        "person_poses.npz",
        "poses, betas, places, as AMASS keeps them",
        lambda path, rate: MotionSink(path, write_amass, rate),
    ),
    "trc": Format("person.trc", "Halpe's 26 points as markers, for OpenSim", TrcSink),
    "mot": Format(
        "person.mot", "coordinates of OpenSim's model", lambda path, rate: MotionSink(path, write_mot, rate)
    ),
    "joints": Format("joints.csv", "table of SMPL's 24 joints, in metres and pixels", joints_csv),
    "angles": Format("angles.csv", "table of joint angles, in degrees", angles_csv),
    "jsonl": Format("people.jsonl", "joints, parameters and angles, a line a frame", json_lines),
}

DEFAULT = ("obj", "glb", "npz")
"""What is written where nobody asks for more."""


def formats_of(names: Iterable[str]) -> Mapping[str, Format]:
    """The formats called ``names``, each once. Raises :class:`InputError` for others, and for none."""
    chosen = dict.fromkeys(names)
    unknown = [name for name in chosen if name not in FORMATS]
    if unknown or not chosen:
        raise InputError(
            f"{', '.join(map(repr, unknown)) or 'nothing'} is no format; choose of {', '.join(FORMATS)}"
        )
    return {name: FORMATS[name] for name in chosen}


def write_frame(format_: Format, path: Path, frame: Frame, shown: Shown, rate_hz: float) -> None:
    """Write a single frame in a format: results as they are, all else of the people that are shown."""
    if format_ is not FORMATS["npz"]:
        frame = replace(frame, groups={**frame.groups, "body": shown.people})
    with format_.sink(path, rate_hz) as sink:
        sink.append(frame)
