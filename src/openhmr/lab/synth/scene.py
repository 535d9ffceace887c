"""What a picture shows: people on a ground, a camera that frames the first of them. World axes: Y up, ground
at y = 0."""

from dataclasses import dataclass

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import forward_kinematics
from openhmr.geometry.pinhole import cam2pixel, world2cam
from openhmr.joints import COCO
from openhmr.lab.synth.outfits import Closet, Outfit
from openhmr.lab.synth.shapes import random_people

SHOULDERS, WRISTS, HIPS, ANKLES = [16, 17], [20, 21], [1, 2], [7, 8]
CHEST = 9
TORSO, ARM_ENDS = [0, 3, 6, 9, 12], [18, 19, 20, 21, 22, 23]
TORSO_RADIUS_M = 0.085


class Figure:
    """The skinned body at its closed level, with numpy tables that make posing cheap."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2).astype(np.float32)
        self.rest_table = np.einsum("jv,vcs->jcs", body.J_regressor, self.shape).astype(np.float32)
        self.coco = body.joint_regressor(COCO)
        self.coarse = body.level("coarse")

    def rest_joints(self, betas: np.ndarray) -> np.ndarray:
        """Joints ``(24,3)`` of the T-posed person, metres."""
        return self.rest_table @ np.concatenate([[1], betas]).astype(np.float32)

    def transforms(self, rotations: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Skinning matrices ``(24,3,4)`` and posed joints ``(24,3)``, root joint at rest, from local
        ``rotations (24,3,3)``."""
        rest = self.rest_joints(betas)
        world, joints = forward_kinematics(rotations.astype(np.float32), rest, self.body.parents)
        return np.concatenate([world, (joints - (world @ rest[..., None])[..., 0])[..., None]], 2), joints

    def vertices(self, transforms: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Skinned vertices ``(V,3)``."""
        ones = np.concatenate([[1], betas]).astype(np.float32)
        rest = (self.shape.reshape(-1, ones.size) @ ones).reshape(-1, 3)
        blended = (self.body.weights @ transforms.reshape(24, 12)).reshape(-1, 3, 4)
        return np.einsum("vij,vj->vi", blended[..., :3], rest) + blended[..., 3]

    def coco_joints(self, vertices: np.ndarray) -> np.ndarray:
        """COCO's 17 joints, Pelvis and Neck ``(19,3)`` of ``vertices (V,3)``."""
        return self.coco @ vertices


def plausible(joints: np.ndarray) -> bool:
    """Whether no elbow, wrist or hand of the posed ``joints (24,3)`` lies inside the trunk."""
    trunk = joints[TORSO]
    samples = np.concatenate([trunk, (trunk[1:] + trunk[:-1]) / 2])
    ends = np.concatenate([joints[ARM_ENDS], (joints[[18, 19]] + joints[[20, 21]]) / 2])
    return bool(np.linalg.norm(ends[:, None] - samples, axis=-1).min() > TORSO_RADIUS_M)


@dataclass
class Person:
    """``rotations (24,3,3)`` local (root: world), ``transforms (24,3,4)`` T-pose to world and ``vertices
    (V,3)`` world, posed."""

    rotations: np.ndarray
    betas: np.ndarray
    outfit: Outfit
    transforms: np.ndarray
    vertices: np.ndarray
    shift: np.ndarray

    def move(self, by: np.ndarray) -> None:
        self.transforms[:, :, 3] += by
        self.vertices += by
        self.shift = self.shift + by


def stand(
    figure: Figure, rotations: np.ndarray, betas: np.ndarray, outfit: Outfit, yaw: float, lift: float
) -> Person:
    """A person turned by ``yaw`` about Y whose lowest vertex is ``lift`` metres above the ground, above the
    origin."""
    turned = rotations.copy()
    c, s = np.cos(yaw), np.sin(yaw)
    turned[0] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32) @ turned[0]
    transforms, _ = figure.transforms(turned, betas)
    person = Person(turned, betas, outfit, transforms, figure.vertices(transforms, betas), np.zeros(3))
    low = person.vertices.min(0)
    middle = (low + person.vertices.max(0)) / 2
    person.move(np.array([-middle[0], lift - low[1], -middle[2]], np.float32))
    return person


@dataclass(frozen=True)
class Camera:
    """Pinhole: intrinsics ``K (3,3)`` pixels (integers are their centres, as in
    :class:`openhmr.camera.Camera`), ``R (3,3)`` camera from world, ``centre (3,)`` world metres, square
    ``size`` px."""

    K: np.ndarray
    R: np.ndarray
    centre: np.ndarray
    size: int

    def see(self, points: np.ndarray) -> np.ndarray:
        """World points ``(...,3)`` in camera axes, metres."""
        return world2cam(points, self.R, -self.R @ self.centre)

    def project(self, seen: np.ndarray) -> np.ndarray:
        """Camera points ``(...,3)`` to ``(x px, y px, depth m)``."""
        return cam2pixel(seen, self.K[[0, 1], [0, 1]], self.K[[0, 1], [2, 2]])


def axis_rotation(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def box_of(projected: np.ndarray) -> np.ndarray:
    """Tight box ``(x, y, width, height)`` px of projected points ``(N,>=2)``."""
    low, high = projected[:, :2].min(0), projected[:, :2].max(0)
    return np.concatenate([low, high - low])


def random_elevation(rng: np.random.Generator) -> float:
    """How far above the horizon the person sees the camera, degrees: mostly level, some steep."""
    kind = rng.random()
    if kind < 0.76:
        return float(np.clip(rng.normal(6, 8), -10, 25))
    if kind < 0.92:
        return float(rng.uniform(20, 50))
    return float(rng.uniform(50, 78) if kind < 0.95 else rng.uniform(-25, -5))


def aim(position: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """Rotation ``(3,3)`` camera from world of a camera at ``position`` that looks at ``target``."""
    forward = (target - position) / np.linalg.norm(target - position)
    yaw, pitch = np.arctan2(forward[0], forward[2]), np.arcsin(forward[1])
    level = np.array([[-np.cos(yaw), 0, np.sin(yaw)], [0, -1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    return axis_rotation(2, roll) @ axis_rotation(0, -pitch) @ level


def approach(rng: np.random.Generator, vertices: np.ndarray, size: int) -> Camera | None:
    """A random camera that looks at a person (world ``vertices (V,3)``) whose box has a random longer side of
    150..240 of 320 px; None where there is no such camera."""
    centre = (vertices.min(0) + vertices.max(0)) / 2
    focal = size / 2 / np.tan(np.radians(rng.uniform(25, 70)) / 2)
    middle = (size - 1) / 2
    K = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    wanted = rng.uniform(150, 240) / 320 * size
    elevation, azimuth, roll = (
        np.radians(random_elevation(rng)),
        rng.uniform(0, 2 * np.pi),
        np.radians(rng.normal(0, 3)),
    )
    outwards = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.sin(elevation), np.cos(elevation) * np.sin(azimuth)]
    )
    nearest = float(np.linalg.norm(vertices - centre, axis=1).max()) + 0.3
    distance = max(focal * 1.7 / wanted, nearest)
    for _ in range(4):
        # Never below the ground: a low camera is raised, and then looks down at the person a little.
        position = centre + outwards * distance
        position[1] = max(position[1], 0.12)
        camera = Camera(K, aim(position, centre, roll), position, size)
        side = box_of(camera.project(camera.see(vertices[::7])))[2:].max()
        distance = max(distance * side / wanted, nearest)
    return camera if 0.9 < side / wanted < 1.15 else None


def frame_person(rng: np.random.Generator, vertices: np.ndarray, size: int) -> Camera:
    """A camera as of :func:`approach`, turned so that the person (world ``vertices (V,3)``) is anywhere in
    the picture; the box sticks out of it by up to 30 % of its side in about one picture of seven."""
    while (camera := approach(rng, vertices, size)) is None:
        pass
    box, focal, place = (
        box_of(camera.project(camera.see(vertices[::7]))),
        camera.K[0, 0],
        rng.uniform(-1, 1, 2),
    )
    room = np.maximum((size - box[2:]) / 2, 0) * 0.85
    # Turning the camera stretches the box, which makes the other half of those that stick out.
    if rng.random() < 0.05:
        room = room + box[2:] * 0.3 * np.abs(place).clip(0.4)
        place = np.sign(place) * rng.permutation([1.0, rng.random()])
    shift = place * room + ((size - 1) / 2 - (box[:2] + box[2:] / 2))
    turn = axis_rotation(0, np.arctan(shift[1] / focal)) @ axis_rotation(1, np.arctan(shift[0] / focal))
    return Camera(camera.K, turn @ camera.R, camera.centre, size)


@dataclass
class Scene:
    """``people[0]`` is the annotated one."""

    people: list[Person]
    camera: Camera


def random_betas(rng: np.random.Generator) -> np.ndarray:
    """Betas ``(10,)`` of a random person (:func:`~openhmr.lab.synth.shapes.random_people`)."""
    return random_people(rng.normal(size=10), rng.random()).astype(np.float32)


def add_others(
    rng: np.random.Generator, figure: Figure, scene: Scene, closet: Closet, poses: list[np.ndarray]
) -> None:
    """Put one more person a pose behind or beside the first, on the same ground, or seldom in front."""
    camera = scene.camera
    first = camera.see(scene.people[0].vertices.mean(0))
    for rotations in poses:
        betas = random_betas(rng)
        person = stand(figure, rotations, betas, closet.dress(rng, betas), rng.uniform(0, 2 * np.pi), 0.0)
        depth = (
            first[2] * rng.uniform(1.25, 3.0) if rng.random() < 0.85 else first[2] * rng.uniform(0.6, 0.85)
        )
        across = rng.uniform(-0.5, 0.5) * camera.size / camera.K[0, 0] * depth
        towards, right = camera.R[2] * [1, 0, 1], camera.R[0] * [1, 0, 1]
        place = (
            camera.centre * [1, 0, 1]
            + towards / np.linalg.norm(towards) * depth
            + right / np.linalg.norm(right) * across
        )
        person.move(place.astype(np.float32))
        apart = np.linalg.norm((person.vertices.mean(0) - scene.people[0].vertices.mean(0))[[0, 2]])
        if apart > 0.7 and camera.see(person.vertices)[:, 2].min() > 0.6:
            scene.people.append(person)
