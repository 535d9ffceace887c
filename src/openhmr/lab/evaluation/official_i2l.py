"""The original evaluation of I2L-MeshNet: its errors, its printed lines, its file for FreiHAND.

Lengths are metres until they are reported in millimetres.
Source: docs/originals/i2l_meshnet.md, "Evaluation".
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from openhmr.bodies.mano import mano_joint_regressor
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import HUMAN36_TOP
from openhmr.lab.data.types import Samples
from openhmr.lab.items.i2l_meshnet import BOX_M, Arrays, Preparation
from openhmr.lab.items.i2l_targets import lixels_to_camera, regressor
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe

METRICS = ("mpjpe_lixel", "pa_mpjpe_lixel", "mpjpe_param", "pa_mpjpe_param")


@dataclass(frozen=True)
class OfficialTest:
    """A test set, prepared for the network, and how well the network does on it."""

    samples: Samples
    preparation: Preparation

    def __len__(self) -> int:
        return len(self.samples)

    def item(self, index: int, rng: RandomState | None = None, picker: random.Random | None = None) -> Arrays:
        """Picture, target and map of a sample; nothing is drawn."""
        inputs, targets, meta = self.preparation.test(self.samples[index])
        return inputs | targets | meta

    def errors(
        self, index: int, item: Mapping[str, NDArray], prediction: Mapping[str, NDArray]
    ) -> dict[str, float]:
        """Errors (mm) of a sample by the names of ``METRICS``, those of the param mesh only where the
        prediction has one.

        Empty for MS COCO, which has no 3D truth, and FreiHAND, whose truth its own server keeps. The
        prediction holds ``mesh_coord_img (V,3)`` in lixels and perhaps ``mesh_coord_cam (V,3)`` in metres.
        """
        sample = self.samples[index]
        if sample.dataset not in ("Human36M", "PW3D"):
            return {}
        to_joints = regressor(self.preparation.body, "human36").astype(np.float64)
        truth = sample.joints_cam_m
        if sample.dataset == "PW3D":
            mesh = (
                item["fit_mesh_coord_cam"]
                if "fit_mesh_coord_cam" in item
                else self.preparation.truth(sample)["fit_mesh_coord_cam"]
            )
            truth = to_joints @ mesh
        meshes = {"lixel": lixels_to_camera(prediction["mesh_coord_img"], sample, BOX_M["body"])}
        if "mesh_coord_cam" in prediction:
            meshes["param"] = prediction["mesh_coord_cam"]
        out = {}
        for name, mesh in meshes.items():
            joints = to_joints @ mesh
            for metric, measure in (("mpjpe", mpjpe), ("pa_mpjpe", pa_mpjpe)):
                out[f"{metric}_{name}"] = float(measure(joints, truth, HUMAN36_TOP)) * 1000
        return out

    def hand(
        self, index: int, prediction: Mapping[str, NDArray], param_mm: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Joints ``(21,3)`` and mesh ``(778,3)`` of a FreiHAND sample as the original hands them in.

        Lixel stage: metres in the camera. Param stage: millimetres relative to the root, as the network
        returns them, or, without ``param_mm``, metres in the camera with the root where the lixel mesh has
        it.
        """
        sample, to_joints = (
            self.samples[index],
            mano_joint_regressor(self.preparation.body).astype(np.float64),
        )
        mesh = lixels_to_camera(prediction["mesh_coord_img"], sample, BOX_M["hand"])
        if "mesh_coord_cam" in prediction:
            own = prediction["mesh_coord_cam"].astype(np.float64)
            mesh = own if param_mm else own / 1000 + (to_joints @ mesh)[0] - (to_joints @ own)[0] / 1000
        return to_joints @ mesh, mesh


def lines(errors: Mapping[str, NDArray | Sequence[float]]) -> list[str]:
    """What the original prints of the errors by name; nan where there are none, so also of the param mesh in
    the lixel stage."""
    out = []
    for name in METRICS:
        metric, mesh = name.rsplit("_", 1)
        values = np.asarray(errors.get(name, ()), np.float64)
        mean = float(values.mean()) if values.size else float("nan")
        out.append(f"{metric.replace('_', ' ').upper()} from {mesh} mesh: {mean:.2f} mm")
    return out


def write_hands(path: Path, hands: Iterable[tuple[NDArray, NDArray]]) -> None:
    """FreiHAND's ``pred.json``: a list of all joints and a list of all meshes, in the order of the test
    set."""
    joints: list[list[float]] = []
    meshes: list[list[float]] = []
    for points, mesh in hands:
        if not (np.isfinite(points).all() and np.isfinite(mesh).all()):
            raise InputError(
                f"hand {len(joints)} has coordinates that are not finite; nothing is written: check the "
                f"network's weights"
            )
        joints.append(points.tolist())
        meshes.append(mesh.tolist())
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps([joints, meshes]), encoding="ascii")
