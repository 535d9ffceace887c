"""Tiny data sets of ready items, for the official recipes: a mesh seen by a camera that stands still."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from openhmr.bodies.body import Body
from openhmr.joints import JointSet


@dataclass
class LiftItems:
    """Poses of a body turned about its vertical, with noise on the 2D side."""

    body: Body
    joint_set: JointSet
    target_set: JointSet
    count: int
    noise: float = 0.01
    seed: int = 0

    def __len__(self) -> int:
        return self.count

    def item(self, index: int, rng: RandomState, picker: random.Random) -> dict[str, np.ndarray]:
        angle = 2 * np.pi * ((index + 0.37 * self.seed) / self.count)
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, -1, 0], [np.sin(angle), 0, -np.cos(angle)]])
        mesh = self.body.v_template @ turn.T
        inputs, targets = (
            self.body.joint_regressor(self.joint_set) @ mesh,
            self.body.joint_regressor(self.target_set) @ mesh,
        )
        xy = inputs[:, :2] + rng.normal(size=(len(inputs), 2)) * self.noise
        root = targets[self.target_set.root]

        def ones(n):
            return np.ones((n, 1), np.float32)

        return {
            "pose2d": ((xy - xy.mean(0)) / xy.std(0)).astype(np.float32),
            "mesh": mesh - root,
            "mesh_valid": ones(len(mesh)),
            "reg_pose3d": (targets - root) * 1000,
            "reg_pose3d_valid": ones(len(targets)),
            "lift_pose3d": (inputs - inputs[self.joint_set.root]) * 1000,
            "lift_pose3d_valid": ones(len(inputs)),
        }


@dataclass
class ImageItems:
    """Pictures of noise with the tiny body somewhere in the crop, and all targets of I2L-MeshNet."""

    body: Body
    count: int
    has_3d: float = 1.0

    def __len__(self) -> int:
        return self.count

    def item(self, index: int, rng: RandomState, picker: random.Random) -> dict[str, np.ndarray]:
        from openhmr.bodies.smpl import smpl_face_regressor

        regressor = smpl_face_regressor(self.body)
        mesh = (self.body.v_template * (1, -1, -1)).astype(np.float32)
        joints = regressor @ mesh

        def lixel(x):
            return (x - joints[0]) * 25 + 32

        def ones(n):
            return np.ones((n, 1), np.float32)

        image = np.random.default_rng(index).random((3, 256, 256), np.float32)
        n, v = len(joints), len(mesh)
        return {
            "img": image,
            "orig_joint_img": lixel(joints),
            "fit_joint_img": lixel(joints),
            "fit_mesh_img": lixel(mesh),
            "orig_joint_cam": joints - joints[0],
            "fit_joint_cam": joints - joints[0],
            "pose_param": np.zeros(72),
            "shape_param": np.zeros(10),
            "orig_joint_valid": ones(n),
            "orig_joint_trunc": ones(n),
            "fit_joint_trunc": ones(n),
            "fit_mesh_trunc": ones(v),
            "is_valid_fit": np.float64(1),
            "is_3D": np.float64(self.has_3d),
        }

    def errors(self, index: int, item: dict, prediction: dict) -> dict[str, float]:
        out = {"mpjpe_lixel": float(np.abs(prediction["mesh_coord_img"] - item["fit_mesh_img"]).mean())}
        if "mesh_coord_cam" in prediction:
            out["mpjpe_param"] = float(
                np.abs(prediction["joint_coord_cam"] - item["fit_joint_cam"]).mean() * 1000
            )
        return out
