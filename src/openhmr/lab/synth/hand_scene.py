"""What a picture of a hand shows: the hand with forearm or sleeve, what it wears and holds, another hand or a
head beside or behind it, and a camera near by. Everything comes in camera axes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies import skinning
from openhmr.bodies.shipped import open_body, open_hand
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import MANO
from openhmr.lab.synth.degrade import texture_crop
from openhmr.lab.synth.hand_meshes import (
    PLAIN,
    RINGS,
    Arm,
    Piece,
    SkinnedMesh,
    ball,
    band,
    box,
    cylinder,
)
from openhmr.lab.synth.light import Place
from openhmr.lab.synth.outfits import NEUTRALS, PATTERNS, from_hex
from openhmr.lab.synth.scene import Camera, axis_rotation, box_of
from openhmr.lab.synth.textures import draw_patterns

LEAST_DEPTH_M = 0.22
"""Nearest that the wrist may be."""
BOX_SHARE = (0.22, 0.72)
"""Longer side of the hand's box over the picture's."""
BETAS_CLIP = 2.5
PALM_M = np.array([-0.07, -0.02, 0.0])
"""Middle of the palm's skin."""
ELBOW_M = 0.25
"""Up to here forearms grow wider."""
HEAD_JOINTS = (12, 15)
PROXIMAL = (1, 4, 7, 10)
"""MANO's first joints of the fingers that wear rings."""
SHARES = {"sleeve": 0.5, "watch": 0.1, "ring": 0.12, "held": 0.22, "hand": 0.25, "head": 0.15}
"""How often a hand comes with each thing."""


@dataclass(frozen=True)
class HandScene:
    """``pieces`` of which the first is the hand; ``vertices (V,3)`` of its full level and ``joints (21,3)``
    in camera axes, and its parameters ``pose (16,3)`` axis-angle (root in camera axes), ``betas (10,)`` and
    ``translation (3,)``."""

    pieces: list[Piece]
    camera: Camera
    vertices: NDArray
    joints: NDArray
    pose: NDArray
    betas: NDArray
    translation: NDArray


@dataclass(frozen=True)
class Skin:
    """A texture of the humans pack and what it is multiplied with (linear)."""

    texture: str
    tint: NDArray
    colour: NDArray
    """Mean linear colour of the wrist."""


class HandStage:
    """Makes scenes of right hands; what a scene shows depends on the generator alone."""

    def __init__(self, skins: dict[str, NDArray], places: list[Place], size: int) -> None:
        """``skins``: sRGB textures ``(h,w,3)`` by name, first row at v = 0."""
        self.hand, self.places, self.size = open_hand(), places, size
        self.surface = SkinnedMesh(open_hand(level="render"))
        body = open_body("render")
        self.head = SkinnedMesh(body, body.weights[:, HEAD_JOINTS].sum(1) > 0.5)
        self.patterns = draw_patterns()
        at = self.surface.uv[self.surface.border_points]
        self.skins = {name: _sampled(image, at) for name, image in skins.items()}

    def skin(self, rng: np.random.Generator) -> Skin:
        name = list(self.skins)[int(rng.integers(len(self.skins)))]
        brightness = np.exp(rng.normal(-0.1, 0.35))
        tint = brightness * np.exp(rng.normal(0, 0.06, 3) + rng.normal(0, 0.08) * np.array([1, 0, -1]))
        # Nobody is paler than pale.
        tint *= min(1.0, 0.75 / float((tint * self.skins[name].mean(0)).max()))
        return Skin(name, tint, self.skins[name] * tint)

    def scene(self, rng: np.random.Generator, poses: list[NDArray]) -> HandScene | None:
        """A scene of ``poses``, local axis-angle rotations ``(16,3)`` of the hand and of another one. None
        where the camera has no room for the hand."""
        skin, betas = self.skin(rng), _betas(rng)
        pose = poses[0].copy()
        pose[0] = 0
        pieces = self._arm_and_hand(rng, pose, betas, skin) + self._extras(rng, pose, betas)
        turn = random_rotation(rng)
        camera = hand_camera(rng, self.size)
        joints = self.hand.joint_regressor(MANO) @ self._posed("full", pose, betas)
        place = _placed(rng, camera, (joints - joints[0]) @ turn.T)
        if place is None:
            return None
        # The root joint, about which the pose turns, need not be the origin.
        root = self._root(betas)
        place = place - turn @ (joints[0] - root) - root
        pieces = [p.moved(turn, root - turn @ root + place) for p in pieces]
        pieces += self._others(rng, poses[1], skin, place + root)
        pose[0] = matrix_to_axis_angle(turn)
        vertices = self._posed("full", pose, betas) + place
        joints = self.hand.joint_regressor(MANO) @ vertices
        return HandScene(pieces, camera, vertices, joints, pose, betas, place)

    def _root(self, betas: NDArray) -> NDArray:
        hand = self.hand
        return hand.J_regressor[0] @ (hand.v_template + hand.shapedirs @ betas)

    def _posed(self, level: str, pose: NDArray, betas: NDArray) -> NDArray:
        return np.asarray(skinning.skin(self.hand if level == "full" else self.surface.body, pose, betas)[0])

    def _arm_and_hand(
        self, rng: np.random.Generator, pose: NDArray, betas: NDArray, skin: Skin
    ) -> list[Piece]:
        vertices = self._posed("render", pose, betas)
        hand = self.surface.piece(vertices, skin.texture, skin.tint)
        outline = vertices[self.surface.border]
        middle = outline.mean(0)
        arm = Arm.bent(
            middle, np.clip(rng.normal(0, 0.45), -1.1, 1.1), np.clip(rng.normal(0, 0.2), -0.5, 0.5)
        )
        outline = outline - middle
        s = np.minimum(arm.along_m / ELBOW_M, 1)
        grow = (1 + rng.uniform(0.2, 0.8) * s)[:, None]
        # The hand's own colours at its border fade into their mean.
        fade = np.clip(arm.along_m / 0.05, 0, 1)[:, None, None]
        colour = skin.colour * (1 - fade) + skin.colour.mean(0) * fade
        out = list(_joined(hand, self.surface.border_points, arm.tube(outline, grow, 0, PLAIN, colour)))
        if rng.random() < SHARES["sleeve"]:
            out.append(self._sleeve(rng, arm, outline, grow))
        elif rng.random() < SHARES["watch"]:
            width = int(rng.integers(2, 4))
            begin = int(rng.integers(3, 7))
            strap = arm.tube(outline * 1.1, grow, begin, _cloth(rng, self.patterns), np.ones((RINGS, 1, 3)))
            count = len(outline) + 1
            out.append(replace(strap, faces=strap.faces[(strap.faces < width * count).all(1)]))
        return out

    def _sleeve(self, rng: np.random.Generator, arm: Arm, outline: NDArray, grow: NDArray) -> Piece:
        begin = int(rng.integers(0, 11))
        wide = rng.uniform(1.1, 1.7)
        angle = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
        folds = 1 + rng.uniform(0.01, 0.07) * np.sin(
            rng.integers(2, 6) * angle + rng.uniform(0, 40) * arm.along_m[:, None] * 10
        )
        lip = np.where(np.arange(RINGS) == begin, 0.97, 1.0)[:, None]
        return arm.tube(
            outline * wide,
            grow * folds * lip,
            begin,
            _cloth(rng, self.patterns),
            np.ones((RINGS, 1, 3)),
            (float(rng.integers(1, 4)), rng.uniform(4, 20)),
        )

    def _extras(self, rng: np.random.Generator, pose: NDArray, betas: NDArray) -> list[Piece]:
        """Rings, and a thing in or before the palm."""
        out = []
        joints = skinning.skin(self.hand, pose, betas)[1]
        if rng.random() < SHARES["ring"]:
            joint = int(rng.choice(PROXIMAL))
            bone = joints[joint + 1] - joints[joint]
            metal = from_hex(str(rng.choice(["#c9a545", "#b8b8bc", "#8a6a3a", "#303034"])))
            ring = band(rng.uniform(0.0095, 0.0115), rng.uniform(0.003, 0.007), 0.0015, PLAIN)
            ring = replace(ring, colour=np.broadcast_to(metal, ring.colour.shape))
            out.append(ring.moved(_along(bone), joints[joint] + rng.uniform(0.4, 0.6) * bone))
        if rng.random() < SHARES["held"]:
            out.append(self._thing(rng))
        return out

    def _thing(self, rng: np.random.Generator) -> Piece:
        """A cylinder, ball or box before the palm, across it more often than not."""
        texture = _texture(rng, self.places)
        radius = rng.uniform(0.008, 0.045)
        kind = rng.random()
        if kind < 0.45:
            piece = cylinder(radius, rng.uniform(0.08, 0.35), texture)
        elif kind < 0.7:
            piece = ball(radius * rng.uniform(0.7, 1.3, 3), texture)
        else:
            piece = box(radius * rng.uniform(0.5, 4, 3), texture)
        turn = axis_angle_to_matrix(rng.normal(0, 0.5, 3)) if rng.random() < 0.7 else random_rotation(rng)
        at = PALM_M + [rng.normal(0, 0.02), -radius * rng.uniform(0.9, 1.5), rng.normal(0, 0.015)]
        return piece.moved(turn, at)

    def _others(self, rng: np.random.Generator, pose: NDArray, skin: Skin, wrist: NDArray) -> list[Piece]:
        """Another hand, of the same skin more often than not, and a head."""
        out: list[Piece] = []
        if rng.random() < SHARES["hand"]:
            betas = _betas(rng)
            pieces = self._arm_and_hand(rng, pose, betas, skin if rng.random() < 0.7 else self.skin(rng))
            turn = random_rotation(rng)
            if rng.random() < 0.5:  # a left hand
                pieces = [_mirrored(p) for p in pieces]
            aside = np.append(rng.normal(0, 0.1, 2), rng.uniform(-0.04, 0.25))
            out += [p.moved(turn, wrist + aside - turn @ PALM_M) for p in pieces]
        if rng.random() < SHARES["head"]:
            out.append(self._head(rng, skin, wrist))
        return [p for p in out if p.vertices[:, 2].min() > 0.1]

    def _head(self, rng: np.random.Generator, skin: Skin, wrist: NDArray) -> Piece:
        """Of the same skin, with plain hair, behind the hand."""
        vertices = np.asarray(self.head.body.v_template, np.float64)
        used = vertices[self.head.vertex]
        middle = used.mean(0)
        piece = self.head.piece(vertices - middle, skin.texture, skin.tint)
        top, back = used[:, 1].max(), used[:, 2].mean()
        hair = (used[:, 1] > top - rng.uniform(0.03, 0.1)) | ((used[:, 2] < back) & (used[:, 1] > top - 0.2))
        dark = np.asarray(rng.uniform(0.02, 0.25)) * np.array([1, 0.8, 0.6])
        piece = replace(piece, colour=np.where(hair[:, None], dark, piece.colour))
        # Upright and facing the camera, more or less.
        turn = axis_angle_to_matrix(rng.normal(0, [0.3, 0.7, 0.25])) @ np.diag([1.0, -1.0, -1.0])
        aside = np.append(rng.normal(0, 0.12, 2), rng.uniform(0.15, 0.5))
        return piece.moved(turn, wrist + aside)


def hand_camera(rng: np.random.Generator, size: int) -> Camera:
    """A camera of a random field of view, level or tilted, 0.6 to 1.8 m above the ground."""
    focal = size / 2 / np.tan(np.radians(rng.uniform(25, 70)) / 2)
    middle = (size - 1) / 2
    K = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    down = np.diag([1.0, -1.0, -1.0])
    pitch, roll = np.clip(rng.normal(0.3, 0.4), -0.7, 1.4), rng.normal(0, 0.1)
    R = axis_rotation(2, roll) @ axis_rotation(0, pitch) @ down @ axis_rotation(1, rng.uniform(0, 2 * np.pi))
    return Camera(K, R, np.array([0, rng.uniform(0.6, 1.8), 0]), size)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform over all rotations (of a quaternion uniform on its sphere)."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _placed(rng: np.random.Generator, camera: Camera, joints: NDArray) -> NDArray | None:
    """Where the wrist lies (camera axes) so that ``joints (21,3)`` about it make a box of a random size
    anywhere in the picture; None where it would be too near."""
    wanted = rng.uniform(*BOX_SHARE) * camera.size
    middle = (joints.max(0) + joints.min(0)) / 2
    depth = camera.K[0, 0] * 0.18 / wanted
    for _ in range(6):
        at = np.array([0, 0, depth])
        if depth + (joints - middle)[:, 2].min() < 0.1:
            return None
        side = box_of(camera.project(joints - middle + at))[2:].max()
        depth *= side / wanted
    if depth < LEAST_DEPTH_M or not 0.8 < side / wanted < 1.25:
        return None
    room = max((camera.size - wanted) / 2, 0) * 0.95 + (0.3 * wanted if rng.random() < 0.07 else 0)
    shift = rng.uniform(-1, 1, 2) * room * depth / camera.K[0, 0]
    return np.append(shift, depth) - middle


def _betas(rng: np.random.Generator) -> NDArray:
    return rng.normal(size=10).clip(-BETAS_CLIP, BETAS_CLIP)


def _sampled(image: NDArray, uv: NDArray) -> NDArray:
    """Linear colours ``(n,3)`` of ``image`` (first row at v = 0) at ``uv (n,2)``."""
    at = (np.clip(uv, 0, 1 - 1e-6) * [image.shape[1], image.shape[0]]).astype(int)
    return (image[at[:, 1], at[:, 0], :3] / 255.0) ** 2


def _cloth(rng: np.random.Generator, patterns: NDArray) -> NDArray[np.uint8]:
    """A tile of cloth: one colour, or a pattern of two."""
    first, second = (
        np.sqrt(from_hex(str(rng.choice(NEUTRALS)))) * 255 if rng.random() < 0.5 else rng.uniform(10, 245, 3)
        for _ in range(2)
    )
    share = (
        patterns[int(rng.integers(PATTERNS))][..., None] / 255.0
        if rng.random() < 0.4
        else np.zeros((1, 1, 1))
    )
    grain = 1 - 0.25 * patterns[-1][..., None] / 255.0
    return np.clip((first * (1 - share) + second * share) * grain, 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, places: list[Place]) -> NDArray[np.uint8]:
    return np.clip(texture_crop(rng, places, 64, 64), 0, 255).astype(np.uint8)


def _along(direction: NDArray) -> NDArray[np.float64]:
    """A rotation whose third column is the unit ``direction (3,)``."""
    z = direction / np.linalg.norm(direction)
    x = np.cross([0.3, 1.0, 0.2], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], 1)


def _joined(hand: Piece, border: NDArray, arm: Piece) -> tuple[Piece, Piece]:
    """Hand and forearm with the same normals where they meet, so that no edge shows: at the vertices ``border
    (n,)`` of the hand and the first n + 1 of the arm."""
    count = len(border)
    mean = hand.normals[border] + arm.normals[:count]
    mean /= np.linalg.norm(mean, axis=1, keepdims=True).clip(1e-9)
    normals = hand.normals.copy(), arm.normals.copy()
    normals[0][border], normals[1][:count], normals[1][count] = mean, mean, mean[0]
    return replace(hand, normals=normals[0]), replace(arm, normals=normals[1])


def _mirrored(piece: Piece) -> Piece:
    x = np.array([-1.0, 1, 1])
    return replace(piece, vertices=piece.vertices * x, normals=piece.normals * x, faces=piece.faces[:, ::-1])
