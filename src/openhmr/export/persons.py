"""A table of numbers for each person of a clip."""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.export.sink import Sink
from openhmr.io.atomic import atomic_path
from openhmr.joints import COCO, HUMAN36, SMPL
from openhmr.people import Frame, People

FORMAT = "openhmr-person-1"
JOINTS = (SMPL, HUMAN36, COCO)
"""Whose joints are written where the body has them."""


class PersonsSink(Sink):
    """Writes ``person_ID.npz`` into ``folder`` for everybody who was seen in at least ``shortest`` frames.

    Each holds, over the T frames in which the person was seen: ``frames (T,)`` and ``times_s (T,)``; ``pose
    (T,J,3)`` axis-angle, ``betas (T,S)`` and ``translation (T,3)`` of the body; ``joints_NAME (T,J,3)`` in
    metres, camera axes; ``pose2d (T,J,3)``, ``boxes (T,4)`` and ``scores (T,)`` where there are any;
    ``camera_K``, ``image_size`` and ``body_hash``. A kilobyte or two of memory for each frame of a person.
    """

    def __init__(self, folder: Path, shortest: int = 1) -> None:
        self._folder, self._shortest = folder, shortest
        self._rows: dict[int, list[dict[str, NDArray]]] = {}
        self._same: dict[str, NDArray] = {}
        self.files = list[Path]()

    def __enter__(self) -> "PersonsSink":
        return self

    def append(self, frame: Frame) -> None:
        people = frame.people
        if not len(people):
            return
        ids = np.arange(len(people)) if people.track_ids is None else people.track_ids
        columns = _columns(people)
        time = np.nan if frame.time_s is None else frame.time_s
        for row, i in enumerate(ids):
            mine = {name: value[row] for name, value in columns.items()}
            mine |= {"frames": np.array(frame.index), "times_s": np.array(time)}
            self._rows.setdefault(int(i), []).append(mine)
        self._same = {
            "format": np.array(FORMAT),
            "camera_K": people.camera.K,
            "camera_source": np.array(people.camera.source),
            "image_size": np.array(people.camera.image_size),
            "joint_set": np.array(people.keypoints.joint_set.name),
            "body_hash": np.array(people.body.content_hash()),
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        for i, rows in sorted(self._rows.items()):
            if len(rows) < self._shortest:
                continue
            path = self._folder / f"person_{i}.npz"
            table: dict[str, Any] = {n: np.stack([r[n] for r in rows]) for n in rows[0]}
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **(self._same | table))
            self.files.append(path)


def _columns(people: People) -> dict[str, NDArray]:
    """What is known of every person, ``(N, ...)`` by name."""
    keypoints, out = people.keypoints, dict[str, NDArray]()
    if people.rig is not None:
        out |= {
            "pose": people.rig.pose,
            "betas": people.rig.betas,
            "translation": people.rig.translation,
        }
    for joint_set in JOINTS:
        if people.body.has_joint_regressor(joint_set):
            out[f"joints_{joint_set.name}"] = people.joints(joint_set)
    out["pose2d"] = keypoints.points
    out |= {n: v for n, v in (("boxes", keypoints.boxes), ("scores", keypoints.scores)) if v is not None}
    return out
