"""Tiny data sets of ready items, for the official recipes: a mesh seen by a camera that stands still."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from openhmr.bodies.body import Body
from openhmr.joints import JointSet
from openhmr.lab.training.pose2mesh import target_regressor


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
        inputs, targets = target_regressor(self.body, self.joint_set) @ mesh, target_regressor(self.body, self.target_set) @ mesh
        xy = inputs[:, :2] + rng.normal(size=(len(inputs), 2)) * self.noise
        root = targets[self.target_set.root]
        ones = lambda n: np.ones((n, 1), np.float32)  # noqa: E731
        return {
            "pose2d": ((xy - xy.mean(0)) / xy.std(0)).astype(np.float32),
            "mesh": mesh - root, "mesh_valid": ones(len(mesh)),
            "reg_pose3d": (targets - root) * 1000, "reg_pose3d_valid": ones(len(targets)),
            "lift_pose3d": (inputs - inputs[self.joint_set.root]) * 1000, "lift_pose3d_valid": ones(len(inputs)),
        }  # fmt: skip
