"""Tables (CSV) and JSON lines of joints, angles and body parameters."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.export.files import TextSink
from openhmr.export.motion import RATE_HZ, is_body, person_ids, rig_of, time_of
from openhmr.export.world import in_world
from openhmr.geometry.joint_angles import ANGLES, joint_angles
from openhmr.joints import SMPL
from openhmr.people import Frame

JSON_FORMAT = "openhmr-frames-1"
_JOINTS_HEAD = "frame,time_s,person,joint,x_m,y_m,z_m,u_px,v_px"
ANGLES_HEAD = ",".join(["frame", "time_s", "person", *(f"{angle.name}_deg" for angle in ANGLES)])


def joints_csv(path: Path, rate_hz: float = RATE_HZ) -> TextSink:
    """A sink of SMPL's 24 joints, a row each: metres (x right, y up, the camera at the origin), and pixels
    of the picture."""

    def lines(frame: Frame) -> Iterator[str]:
        people, time = frame.people, time_of(frame, rate_hz)
        joints = people.joints(SMPL)
        places, pixels = in_world(joints, people.camera), people.camera.project(joints)
        for person, place, pixel in zip(person_ids(people), places, pixels, strict=True):
            for name, (x, y, z), (u, v) in zip(SMPL.names, place, pixel, strict=True):
                at = f"{x:.5f},{y:.5f},{z:.5f},{u:.2f},{v:.2f}"
                yield f"{frame.index},{time:.6f},{person},{name},{at}"

    return TextSink(path, [_JOINTS_HEAD], lines)


def angles_csv(path: Path, rate_hz: float = RATE_HZ) -> TextSink:
    """A sink of joint angles, a row a person and frame: degrees, as
    :data:`~openhmr.geometry.joint_angles.ANGLES` says."""

    def lines(frame: Frame) -> Iterator[str]:
        people = frame.people
        angles = np.degrees(joint_angles(rig_of(people).pose)) if len(people) else ()
        for person, row in zip(person_ids(people), angles, strict=True):
            numbers = ",".join(f"{n:.3f}" for n in row)
            yield f"{frame.index},{time_of(frame, rate_hz):.6f},{person},{numbers}"

    return TextSink(path, [ANGLES_HEAD], lines)


def json_lines(path: Path, rate_hz: float = RATE_HZ) -> TextSink:
    """A sink of one JSON object a frame, in *camera* axes (x right, y down, z forward), as results are:
    metres, radians, and angles in degrees."""

    def lines(frame: Frame) -> Iterator[str]:
        yield json.dumps(_frame(frame, time_of(frame, rate_hz)), separators=(",", ":"))

    return TextSink(path, [], lines)


def _frame(frame: Frame, time: float) -> dict[str, Any]:
    people = frame.people
    camera, joints, angles = people.camera, people.joints(SMPL), None
    if people.rig is not None and is_body(people.body):
        angles = np.degrees(joint_angles(people.rig.pose))
    out: dict[str, Any] = {
        "format": JSON_FORMAT,
        "frame": frame.index,
        "time_s": round(time, 6),
        "camera": {"K": camera.K.tolist(), "image_size": list(camera.image_size), "from": camera.source},
        "people": [],
    }
    if frame.name is not None:
        out["name"] = frame.name
    if camera.down is not None:
        out["camera"]["down"] = camera.down.tolist()
    for i, person in enumerate(person_ids(people)):
        one: dict[str, Any] = {
            "id": person,
            "joints_m": dict(zip(SMPL.names, _rounded(joints[i], 5), strict=True)),
        }
        if people.rig is not None:
            one |= {
                "pose_rad": _rounded(people.rig.pose[i], 6),
                "betas": _rounded(people.rig.betas[i], 5),
                "translation_m": _rounded(people.rig.translation[i], 5),
            }
        if angles is not None:
            one["angles_deg"] = dict(zip((a.name for a in ANGLES), _rounded(angles[i], 2), strict=True))
        out["people"].append(one)
    return out


def _rounded(array: NDArray, digits: int) -> list[Any]:
    return np.asarray(array, np.float64).round(digits).tolist()
