"""OpenSim's files: markers (.trc) and coordinates of a model (.mot); metres, degrees, seconds, y up.

Formats as in OpenSim's documentation, "Marker (.trc) Files" and "Motion (.mot) Files".
"""

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from openhmr.export.motion import RATE_HZ, Clip, Motion, of_person, period_of, person_ids, time_of
from openhmr.export.sink import Sink
from openhmr.export.world import in_world
from openhmr.geometry.cardan import cardan_zxy, steady_zxy
from openhmr.geometry.joint_angles import ANGLES, joint_angles, pelvis, upper_arms
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.io.atomic import atomic_path
from openhmr.joints import HALPE26
from openhmr.people import Frame

MARKERS = tuple(
    {"Head_top": "Head", "Throat": "Neck", "Pelvis": "Hip"}.get(name, name.replace("_", ""))
    for name in HALPE26.names
)
"""Halpe's 26 points under the names of Pose2Sim's markers for OpenSim."""

_SAME = {
    "hip_flexion": "Hip_flexion",
    "hip_adduction": "Hip_adduction",
    "hip_rotation": "Hip_internal_rotation",
    "knee_angle": "Knee_flexion",
    "ankle_angle": "Ankle_dorsiflexion",
    "elbow_flex": "Elbow_flexion",
}
"""Coordinates of OpenSim's model of the whole body (Rajagopal et al. 2016) that are angles of ours."""

_ARM = ("arm_flex", "arm_add", "arm_rot")
_PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation", "pelvis_tx", "pelvis_ty", "pelvis_tz")
_LUMBAR = ("lumbar_extension", "lumbar_bending", "lumbar_rotation")

_MOT_HEAD = """Coordinates
version=1
nRows={rows}
nColumns={columns}
inDegrees=yes

openhmr: angles between the parts of the body, not fitted to a model; metres, y up.
Units are S.I. units (second, meters, Newtons, ...)
If the header above contains a line with 'inDegrees', this indicates whether rotational values are in \
degrees (yes) or radians (no).

endheader
"""

Array = NDArray[np.float64]


class TrcSink(Sink):
    """A ``.trc`` a person, ``person`` in the name of ``path`` becoming theirs: Halpe's 26 points of the mesh
    under Pose2Sim's names, from where the person is first seen to where it is last seen; NaN where not."""

    def __init__(self, path: Path, rate_hz: float = RATE_HZ) -> None:
        self._path, self._rate = path, rate_hz
        self._times: list[float] = []
        self._seen: dict[int, dict[int, NDArray[np.float32]]] = {}

    def __enter__(self) -> "TrcSink":
        return self

    def append(self, frame: Frame) -> None:
        people = frame.people
        if len(people):
            points = in_world(people.joints(HALPE26), people.camera)
            for person, at in zip(person_ids(people), points, strict=True):
                self._seen.setdefault(person, {})[len(self._times)] = at
        self._times.append(time_of(frame, self._rate))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        for person, seen in self._seen.items():
            path = of_person(self._path, f"person_{person}")
            with atomic_path(path) as temporary:
                temporary.write_text(self._text(path.name, seen), encoding="ascii", newline="\n")

    def _text(self, name: str, seen: dict[int, NDArray[np.float32]]) -> str:
        rate = 1 / period_of(self._times, self._rate)
        first, last = min(seen), max(seen)
        count = last - first + 1
        axes = "\t".join(f"{axis}{i}" for i in range(1, len(MARKERS) + 1) for axis in "XYZ")
        rows = [
            f"PathFileType\t4\t(X/Y/Z)\topenhmr/{name}",
            "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
            f"{rate:.6g}\t{rate:.6g}\t{count}\t{len(MARKERS)}\tm\t{rate:.6g}\t1\t{count}",
            "Frame#\tTime\t" + "\t\t\t".join(MARKERS) + "\t\t",
            f"\t\t{axes}",
            "",
        ]
        for k in range(first, last + 1):
            numbers = [f"{n:.6f}" for n in seen[k].ravel()] if k in seen else ["NaN"] * 3 * len(MARKERS)
            rows.append("\t".join([str(k - first + 1), f"{self._times[k]:.6f}", *numbers]))
        return "\n".join(rows) + "\n"


def write_mot(path: Path, clip: Clip) -> None:
    """Write a ``.mot`` a person, ``person`` in the name of ``path`` becoming theirs: coordinates of OpenSim's
    model of the whole body by name, in degrees; the pelvis's place in metres."""
    for motion in clip.bodies:
        columns = {"time": clip.start_s + motion.times_s, **coordinates(motion)}
        rows = np.stack(list(columns.values()), 1)
        with (
            atomic_path(of_person(path, motion.name)) as temporary,
            temporary.open("w", encoding="ascii", newline="\n") as file,
        ):
            file.write(_MOT_HEAD.format(rows=len(rows), columns=len(columns)))
            file.write("\t".join(columns) + "\n")
            file.writelines("\t".join(f"{n:.6f}" for n in row) + "\n" for row in rows)


def coordinates(motion: Motion) -> dict[str, Array]:
    """``(T,)`` by the names of OpenSim's model, degrees and metres, without leaps over time."""
    angles = joint_angles(motion.pose)
    known = {angle.name: np.unwrap(angles[:, i]) for i, angle in enumerate(ANGLES)}
    turns = steady_zxy(cardan_zxy(pelvis(axis_angle_to_matrix(motion.pose[:, 0]))))
    out = dict(zip(_PELVIS, [*np.degrees(turns).T, *motion.root.T], strict=True))
    trunk = [-known["Trunk_flexion"], known["Trunk_right_bend"], known["Trunk_left_rotation"]]
    out |= {name: np.degrees(values) for name, values in zip(_LUMBAR, trunk, strict=True)}
    arms = np.degrees(steady_zxy(cardan_zxy(upper_arms(motion.pose))))
    for k, side in enumerate("LR"):
        out |= {f"{name}_{side.lower()}": np.degrees(known[f"{side}_{own}"]) for name, own in _SAME.items()}
        out |= {f"{name}_{side.lower()}": arms[:, k, i] for i, name in enumerate(_ARM)}
    return out
