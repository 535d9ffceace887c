"""2D pose -> mesh: the Pose2Mesh session."""

import json
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.open_body import open_body
from openhmr.errors import InputError
from openhmr.geometry.camera_fit import default_focal, fit_translation, intrinsics
from openhmr.joints import COCO, HUMAN36, JointSet
from openhmr.joints.coco import add_pelvis_neck
from openhmr.predict.result import Result

JOINT_SETS: dict[str, JointSet] = {"coco": COCO, "human36": HUMAN36}
MIN_JOINTS = 6
"""Fewer present joints than this do not define a person."""
MIN_SPREAD_PX = 2.0


class Upsampler:
    """Coarse vertices to full ones: each is a fixed combination of at most D coarse vertices, kept as a table."""

    def __init__(self, body: Body) -> None:
        level = body.level("coarse")
        assert level.upsample is not None
        rows, cols, values = level.upsample
        order = np.argsort(rows, kind="stable")
        rows, cols, values = rows[order], cols[order], values[order]
        count = np.bincount(rows, minlength=body.num_vertices)
        slot = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        self.table = np.zeros((count.max(), body.num_vertices), np.int32)
        self.weights = np.zeros((count.max(), body.num_vertices, 1), np.float32)
        self.table[slot, rows] = cols
        self.weights[slot, rows, 0] = values

    def __call__(self, coarse: NDArray) -> NDArray:
        """``(N,Vc,3)`` -> ``(N,V,3)``."""
        out = coarse[:, self.table[0]] * self.weights[0]
        for columns, weights in zip(self.table[1:], self.weights[1:], strict=True):
            out += coarse[:, columns] * weights
        return out


class SparseRegressor:
    """A joint regressor ``(K,V)`` that reads only the vertices it uses."""

    def __init__(self, regressor: NDArray) -> None:
        self.used = np.nonzero(regressor.any(0))[0]
        self.matrix = np.ascontiguousarray(regressor[:, self.used])

    def __call__(self, vertices: NDArray) -> NDArray:
        return np.matmul(self.matrix, vertices[:, self.used])


def standardise(pose2d: NDArray) -> NDArray:
    """Network input ``(N,J,3)`` from pixels and confidences: present joints centred and divided by one root-mean-square radius
    (both axes together, so that proportions stay); missing joints are zero."""
    present = (pose2d[..., 2:] > 0).astype(np.float64)
    count = present.sum(1, keepdims=True)
    centred = (pose2d[..., :2] - (pose2d[..., :2] * present).sum(1, keepdims=True) / count) * present
    scale = np.sqrt((centred**2).sum((1, 2), keepdims=True) / (2 * count))
    confidence = np.clip(pose2d[..., 2:], 0, 1) * present
    return np.concatenate([centred / scale, confidence], -1).astype(np.float32)


def prepare(pose2d: NDArray, joint_set: JointSet) -> NDArray:
    """Check poses and bring them to ``(N,J,3)`` x, y, confidence, with Pelvis and Neck for coco.

    Takes ``(J,2|3)`` or ``(N,J,2|3)``; J may be 17 for coco. Raises :class:`InputError` for anything a mesh cannot come from.
    """
    pose = np.asarray(pose2d)
    allowed = (17, 19) if joint_set is COCO else (joint_set.size,)
    if pose.ndim == 2:
        pose = pose[None]
    counts = " or ".join(map(str, allowed))
    if pose.dtype.kind not in "iuf" or pose.ndim != 3 or pose.shape[2] not in (2, 3) or pose.shape[1] not in allowed or not len(pose):
        raise InputError(
            f"the 2D pose has shape {np.asarray(pose2d).shape} of {pose.dtype}; for --joints {joint_set.name} give numbers of shape "
            f"({counts}, 2), ({counts}, 3) or (people, {counts}, 2 or 3): x, y in pixels and an optional confidence"
        )
    pose = pose.astype(np.float64)
    if pose.shape[2] == 2:
        pose = np.concatenate([pose, np.ones_like(pose[..., :1])], -1)
    if not np.isfinite(pose).all():
        raise InputError("the 2D pose holds NaN or infinite numbers; give missing joints the confidence 0 and finite coordinates")
    if np.abs(pose[..., :2]).max() > 1e7:
        raise InputError(f"the 2D pose holds the coordinate {np.abs(pose[..., :2]).max():.3g}; give pixels below 1e7")
    pose[..., 2] = np.clip(pose[..., 2], 0, 1)
    pose[pose[..., 2] == 0] = 0
    if joint_set is COCO and pose.shape[1] == 17:
        present = pose[..., 2] > 0
        pose = add_pelvis_neck(pose)
        for row, (a, b) in ((17, (11, 12)), (18, (5, 6))):
            pose[~(present[:, a] & present[:, b]), row] = 0
    for i, person in enumerate(pose):
        seen = person[person[:, 2] > 0]
        if len(seen) < MIN_JOINTS:
            raise InputError(f"person {i} has {len(seen)} present joints; at least {MIN_JOINTS} with a confidence above 0 are needed")
        if np.ptp(seen[:, :2], 0).max() < MIN_SPREAD_PX:
            raise InputError(f"all joints of person {i} lie within {MIN_SPREAD_PX:g} pixels; give joint positions in pixels of the image")
    return pose


class Lifter:
    """Lifts 2D poses to meshes with an ONNX model; made by :func:`openhmr.load`.

    ``lifter(pose2d)`` returns a :class:`Result`; see :meth:`__call__`.
    """

    def __init__(self, model: str | Path, body: Body | None = None, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: a body is 0.04 GFLOP, and waking a second one takes longer than it saves.
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.joint_set = JOINT_SETS[metadata["joint_set"]]
        self.body = body or open_body()
        if metadata["body"] != self.body.content_hash():
            raise InputError(f"{model} was made for another body (hash {metadata['body']}, not {self.body.content_hash()})")
        self.card = json.loads(metadata.get("training", "{}"))
        self.upsample = Upsampler(self.body)

    @cached_property
    def regressors(self) -> dict[str, SparseRegressor]:
        coco = self.body.joint_regressors["coco"]
        extended = np.concatenate([coco, coco[[11, 12]].mean(0, keepdims=True), coco[[5, 6]].mean(0, keepdims=True)])
        named = {"smpl": self.body.J_regressor, "human36": self.body.joint_regressors["human36"], "coco": extended}
        return {name: SparseRegressor(matrix) for name, matrix in named.items()}

    def __call__(self, pose2d: NDArray, image_size: tuple[int, int] | None = None, focal_px: float | None = None) -> Result:
        """Meshes of one or more people.

        ``pose2d``: ``(J,2|3)`` or ``(N,J,2|3)`` pixels and optional confidence (0 = missing) of all people of one picture.
        ``image_size`` (height, width): default, the extent of the joints. ``focal_px``: default, a field of view of 55 degrees
        over the longer side. Raises :class:`InputError` for poses no mesh can come from.
        """
        if focal_px is not None and not (np.isfinite(focal_px) and focal_px > 0):
            raise InputError(f"the focal length is {focal_px}; give a positive number of pixels, or leave it out to have it estimated")
        pose = prepare(pose2d, self.joint_set)
        coarse = self.session.run(["vertices"], {"pose2d": standardise(pose)})[0]
        vertices = self.upsample(coarse)
        joints = {name: regress(vertices) for name, regress in self.regressors.items()}
        size = image_size or canvas_size(pose)
        K = intrinsics(focal_px or default_focal(size), size)
        own = joints[self.joint_set.name].astype(np.float64)
        translation = fit_translation(own, pose[..., :2], pose[..., 2], K)
        move = translation[:, None].astype(np.float32)
        return Result(
            vertices + move, self.body.faces, {k: v + move for k, v in joints.items()}, K, translation, pose.astype(np.float32),
            self.joint_set.name, size,
        )  # fmt: skip


def canvas_size(pose: NDArray) -> tuple[int, int]:
    """(height, width) of a canvas that holds all present joints ``(N,J,3)`` with as much margin after them as before."""
    seen = pose[pose[..., 2] > 0][:, :2]
    margin = 0.15 * np.ptp(seen, 0).max()
    right, bottom = seen.max(0) + np.minimum(np.maximum(seen.min(0), margin), 2 * margin)
    return max(int(np.ceil(bottom)), 16), max(int(np.ceil(right)), 16)


def load(name: str) -> Lifter:
    """The shipped model ``name`` (``pose2mesh-coco`` or ``pose2mesh-human36``). Raises :class:`InputError` for other names."""
    known = {f"pose2mesh-{s}": s for s in JOINT_SETS}
    if name not in known:
        raise InputError(f"there is no model {name!r}; the models are {', '.join(known)}")
    with as_file(files("openhmr") / "assets" / "weights" / f"{name}.onnx") as path:
        if not path.exists():
            raise InputError(f"the weights of {name} are not in this installation; reinstall openhmr from a wheel or a full checkout")
        return Lifter(path)
