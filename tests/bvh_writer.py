"""Motions of a person in T-pose, changed and written as BVH files in any program's manner."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass
class Joint:
    name: str
    parent: int
    offset: np.ndarray
    tip: np.ndarray = field(default_factory=lambda: np.array([0.0, 1, 0]))


SPINE = (("Spine", (0, 10, 0)), ("Spine1", (0, 12, 0)), ("Spine2", (0, 12, 0)))


def skeleton() -> list[Joint]:
    """A person in T-pose, centimetres, Y up, facing +Z, in the order of the file."""
    joints = [Joint("Hips", -1, np.zeros(3))]

    def chain(parent: int, bones: list[tuple[str, tuple[float, float, float]]]) -> None:
        for name, offset in bones:
            joints.append(Joint(name, parent, np.array(offset, float)))
            parent = len(joints) - 1
        if "Hand" in bones[-1][0]:
            joints[-1].tip = joints[-1].offset.copy()

    chain(0, [*SPINE, ("Neck", (0, 18, 0)), ("Head", (0, 10, 2))])
    for side, s in (("Left", 1), ("Right", -1)):
        arm = (("Shoulder", (5, 14, 0)), ("Arm", (12, 0, 0)), ("ForeArm", (28, 0, 0)), ("Hand", (25, 0, 0)))
        leg = (("UpLeg", (10, -5, 0)), ("Leg", (0, -42, 0)), ("Foot", (0, -40, 0)), ("ToeBase", (0, -5, 14)))
        for top, bones in ((3, arm), (0, leg)):
            chain(top, [(side + n, (s * x, y, z)) for n, (x, y, z) in bones])
    return joints


def turn(vector: np.ndarray) -> np.ndarray:
    """Rotation matrices ``(...,3,3)`` of axis-angle ``(...,3)``."""
    k = np.zeros((*vector.shape[:-1], 3, 3))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -vector[..., 2], vector[..., 1], -vector[..., 0]
    k -= np.swapaxes(k, -1, -2)
    angle = np.maximum(np.linalg.norm(vector, axis=-1), 1e-12)[..., None, None]
    return np.eye(3) + np.sin(angle) / angle * k + (1 - np.cos(angle)) / angle**2 * k @ k


@dataclass
class Take:
    """A skeleton, world rotations ``(T,J,3,3)`` and root positions ``(T,3)``, before they are written."""

    joints: list[Joint]
    turns: np.ndarray
    root: np.ndarray
    order: str = "ZXY"
    frame_time: str = "0.0333333"

    @classmethod
    def random(cls, seed: int, frames: int = 3) -> "Take":
        rng, joints = np.random.default_rng(seed), skeleton()
        local = turn(rng.normal(size=(frames, len(joints), 3)) * 0.35)
        turns = local.copy()
        for j, joint in enumerate(joints):
            if joint.parent >= 0:
                turns[:, j] = turns[:, joint.parent] @ local[:, j]
        return cls(joints, turns, np.tile([3.0, 88, 5], (frames, 1)))

    def in_axes(self, axes: np.ndarray) -> "Take":
        """The same with X, Y and Z called otherwise."""
        joints = [replace(j, offset=axes @ j.offset, tip=axes @ j.tip) for j in self.joints]
        return replace(self, joints=joints, turns=axes @ self.turns @ axes.T, root=self.root @ axes.T)

    def at_rest(self, rest: np.ndarray) -> "Take":
        """The same motion of a skeleton whose joints rest turned by ``rest (J,3,3)`` against the T-pose."""
        joints = []
        for j, joint in enumerate(self.joints):
            above = rest[joint.parent] if joint.parent >= 0 else np.eye(3)
            joints.append(replace(joint, offset=above.T @ joint.offset, tip=rest[j].T @ joint.tip))
        return replace(self, joints=joints, turns=self.turns @ rest)

    def with_t_pose(self) -> "Take":
        """A first frame without any rotation."""
        still = np.broadcast_to(np.eye(3), (1, *self.turns.shape[1:]))
        root = np.concatenate([self.root[:1], self.root])
        return replace(self, turns=np.concatenate([still, self.turns]), root=root)

    def named(self, rename: "dict[str, str] | str") -> "Take":
        """Joints of other names, or with a prefix."""
        new = [
            rename + j.name if isinstance(rename, str) else rename.get(j.name, j.name) for j in self.joints
        ]
        return replace(self, joints=[replace(j, name=n) for j, n in zip(self.joints, new, strict=True)])

    def text(self) -> str:
        channels = " ".join(f"{axis}rotation" for axis in self.order)

        written: list[int] = []

        def block(j: int) -> str:
            joint = self.joints[j]
            written.append(j)
            below = "".join(block(k) for k, other in enumerate(self.joints) if other.parent == j)
            place = "6 Xposition Yposition Zposition" if j == 0 else "3"
            end = below or "End Site\n{\nOFFSET " + " ".join(f"{x:.9f}" for x in joint.tip) + "\n}\n"
            offset = " ".join(f"{x:.9f}" for x in joint.offset)
            kind = "ROOT" if j == 0 else "JOINT"
            return f"{kind} {joint.name}\n{{\nOFFSET {offset}\nCHANNELS {place} {channels}\n{end}}}\n"

        local = self.turns.copy()
        for j, joint in enumerate(self.joints):
            if joint.parent >= 0:
                local[:, j] = np.swapaxes(self.turns[:, joint.parent], -1, -2) @ self.turns[:, j]
        tree = block(0)
        angles = np.degrees(euler(local, self.order))[:, written]
        rows = [
            " ".join(f"{x:.9f}" for x in [*place, *frame.ravel()])
            for place, frame in zip(self.root, angles, strict=True)
        ]
        head = f"HIERARCHY\n{tree}MOTION\nFrames: {len(rows)}\nFrame Time: {self.frame_time}\n"
        return head + "\n".join(rows) + "\n"


def euler(matrix: np.ndarray, order: str) -> np.ndarray:
    """Angles ``(...,3)`` such that the product of turns about the axes of ``order`` is ``matrix``."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    second = np.arcsin(np.clip(sign * matrix[..., i, k], -1, 1))
    first = np.arctan2(-sign * matrix[..., j, k], matrix[..., k, k])
    third = np.arctan2(-sign * matrix[..., i, j], matrix[..., i, i])
    locked = np.abs(matrix[..., i, k]) > 1 - 1e-9  # first and third turn about one axis: all to the first
    first = np.where(locked, np.arctan2(sign * matrix[..., k, j], matrix[..., j, j]), first)
    return np.stack([first, second, np.where(locked, 0, third)], -1)
