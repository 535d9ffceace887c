"""One person's path in a clip made smooth without delay, and planted on the ground."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.posed_points import PosedPoints
from openhmr.bodies.stature import tpose_heights
from openhmr.camera import Camera
from openhmr.geometry import quaternions
from openhmr.geometry.camera_fit import fit_translation
from openhmr.geometry.quaternions import Quaternions
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import SMPL, JointSet
from openhmr.people import Rig
from openhmr.sequence.feet import LEGS, Ground, has_feet, sole_regressor, standing
from openhmr.sequence.ground import downwards, fit_grounds, stands
from openhmr.sequence.outliers import stray_turns
from openhmr.sequence.penalised import Array
from openhmr.sequence.places import smooth_places
from openhmr.sequence.planted import lift, plant_legs, plant_root
from openhmr.sequence.rig_path import RigPath
from openhmr.sequence.turns import smooth_turns

_ABOVE_FEET = [j for j in range(SMPL.size) if j not in sum((leg[2:] for leg in LEGS), ())]
REACH_RAD = 0.8
"""A joint that is turned so far from where it is before and after does not belong to the path."""
CONTRADICT = np.deg2rad(15)
"""Angle between the directions that upright people and their feet tell, from which neither is believed."""
DEEP_M, SELDOM = 0.10, 0.05
"""A ground of which more of the frames have a foot deeper than this below it is no flat ground."""
FAINT = 0.15
"""Confidence up to which an ankle was not seen."""
MANY = 0.25
"""From such a share of joints that do not belong, the whole frame does not."""


@dataclass(frozen=True)
class Cutoffs:
    """Frequencies in Hz of which half is kept: of ``joints``, of the root's place ``across`` the line of
    sight and ``along`` it. Chosen on recorded motion of other people than the numbers are measured on."""

    joints: float = 3.0
    across: float = 3.0
    along: float = 0.7


@dataclass(frozen=True, eq=False)
class Sight:
    """What a ``camera`` saw of the person: ``points (T,K,3)``, pixels and confidence, of ``joint_set``. With
    it the smooth body is placed anew, where it fits what was seen."""

    camera: Camera
    joint_set: JointSet
    points: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Smooth:
    """A smooth path: ``times (T,)``, ``turns (T,J,4)`` relative to the parent joint as quaternions, one shape
    ``betas (S,)``, the root joint's places ``root (T,3)`` and the weights ``trusted (T,3,3)`` they came from.

    ``seen (T,)`` are the frames that the path rests on: others are between them, or were left out because
    they belong to no path. ``feet_seen (T,2)`` tells where left and right ankle were not hidden.
    """

    body: Body
    times: Array
    turns: Quaternions
    betas: Array
    root: Array
    trusted: Array
    seen: NDArray[np.bool_]
    feet_seen: NDArray[np.bool_]

    def rig(self) -> Rig:
        """The body parameters of all frames."""
        rest = self.body.J_regressor[0] @ (self.body.v_template + self.body.shapedirs @ self.betas)
        betas = np.repeat(self.betas[None].astype(np.float32), len(self.times), 0)
        return Rig(quaternions.log(self.turns).astype(np.float32), betas, self.root - rest)

    def posed(self, regressor: NDArray) -> tuple[Array, Array]:
        """Joints ``(T,J,3)`` and regressed points ``(T,K,3)`` in camera axes."""
        posed = PosedPoints(self.body, self.betas, regressor)
        _, joints, points = posed(axis_angle_to_matrix(quaternions.log(self.turns)))
        shift = (self.root - joints[:, 0])[:, None]
        return joints + shift, points + shift

    def standing(self, points: Array, ground: Ground | None) -> NDArray[np.bool_]:
        """Which of the feet's ``points (T,4,3)`` stand ``(T,4)``; those of feet that were not seen do
        not."""
        return standing(points, self.times, ground) & np.repeat(self.feet_seen, 2, 1)


def smooth_path(
    path: RigPath, body: Body, sight: Sight | None = None, cutoffs: Cutoffs | None = None
) -> Smooth:
    """Rotations, place and shape of a person without noise, delay, strays and gaps; feet may still slide."""
    cutoffs = cutoffs or Cutoffs()
    weights = path.weights()
    turns = quaternions.exp(path.pose)
    rows = np.flatnonzero(path.seen)
    stray = stray_turns(turns[rows], np.full(turns.shape[1], REACH_RAD))
    lost = stray[:, 0] | (stray.mean(1) > MANY)
    weights[rows] *= ~(stray | lost[:, None])
    # A joint that is nowhere certain keeps what it has.
    weights[rows] += 1e-3 * (weights.max(0) == 0)
    turns = smooth_turns(turns, path.times, weights, np.full(turns.shape[1], cutoffs.joints))
    sure = weights.mean(1)
    betas = (sure[:, None] * path.betas)[rows].sum(0) / sure[rows].sum()
    root = _placed(path, body, turns, betas, sight)
    usable = sure * np.isfinite(root).all(1)
    root, trusted = smooth_places(root, path.times, usable, cutoffs.across, cutoffs.along)
    return Smooth(body, path.times, turns, betas, root, trusted, usable > 0, _feet_seen(path, sight))


def _feet_seen(path: RigPath, sight: Sight | None) -> NDArray[np.bool_]:
    """Where left and right ankle ``(T,2)`` were seen, or nobody knows."""
    out = np.ones((len(path), 2), bool)
    for side, name in enumerate(("L_Ankle", "R_Ankle")):
        if sight is not None and name in sight.joint_set.names:
            confidence = sight.points[:, sight.joint_set.names.index(name), 2]
            out[:, side] = (confidence > FAINT) | ~path.seen
    return out


def _placed(path: RigPath, body: Body, turns: Quaternions, betas: Array, sight: Sight | None) -> Array:
    """Where the root joint of the body of shape ``betas`` is in each frame ``(T,3)``."""
    rest = body.J_regressor[0].astype(np.float64) @ body.v_template
    spread = np.einsum("v,vcs->cs", body.J_regressor[0].astype(np.float64), body.shapedirs)
    if sight is None or not body.has_joint_regressor(sight.joint_set):
        # Size and distance are seen together: who is taken for taller is taken for further away.
        tall = tpose_heights(body, betas) / tpose_heights(body, path.betas)
        return (path.translation + rest + path.betas @ spread.T) * tall[:, None]
    posed = PosedPoints(body, betas, body.joint_regressor(sight.joint_set))
    _, joints, points = posed(axis_angle_to_matrix(quaternions.log(turns)))
    out, seen = np.full((len(turns), 3), np.nan), path.seen & (sight.points[..., 2] > 0).any(1)
    pixels = sight.points[seen]
    shift = fit_translation(points[seen], pixels[..., :2], pixels[..., 2], sight.camera.K)
    out[seen] = joints[seen, 0] + shift
    return out


def find_grounds(people: Sequence[Smooth]) -> tuple[Array | None, list[Ground | None]]:
    """The direction of gravity ``(3,)`` and the ground under each person of a clip, all of one body.

    No direction where upright people and feet that stand contradict each other by :data:`CONTRADICT`, and
    for bodies without feet; no ground besides for who never stands, and for whose feet are often far below
    it: it is not flat.
    """
    nothing: list[Ground | None] = [None] * len(people)
    if not people or not has_feet(people[0].body):
        return None, nothing
    posed = [p.posed(sole_regressor(p.body)) for p in people]
    # Legs that nobody saw are guesses.
    told = [
        downwards(joints[seen], points[seen], p.standing(points, None)[seen])
        for p, (joints, points) in zip(people, posed, strict=True)
        if (seen := p.feet_seen.any(1)).any()
    ]
    if not told:
        return None, nothing
    upright = np.mean(told, axis=0)
    upright /= np.linalg.norm(upright)
    grounds = nothing
    for _ in range(2):  # first by speed alone, then also by height
        places = [
            stands(points, p.standing(points, ground))
            for p, (_, points), ground in zip(people, posed, grounds, strict=True)
        ]
        grounds = fit_grounds(upright, places)
    downs = [ground.down for ground in grounds if ground is not None]
    if downs and downs[0] @ upright < np.cos(CONTRADICT):
        return None, nothing
    flat = [
        ground if ground is not None and _is_flat(points, ground) else None
        for (_, points), ground in zip(posed, grounds, strict=True)
    ]
    return (downs[0] if downs else upright), flat


def _is_flat(points: Array, ground: Ground) -> bool:
    """Whether the feet ``(T,4,3)`` are hardly ever far below the ground."""
    return bool(np.mean(ground.heights(points).min(1) < -DEEP_M) < SELDOM)


def plant(
    person: Smooth, ground: Ground | None, cutoffs: Cutoffs | None = None
) -> tuple[Smooth, NDArray[np.bool_]]:
    """The person with feet that do not slide while they stand, and which of
    :data:`~openhmr.sequence.feet.POINTS_OF_FEET` stand in which frames ``(T,4)``: on the ``ground`` where
    there is one, else wherever they are slow."""
    cutoffs, times = cutoffs or Cutoffs(), person.times
    if len(times) < 3:
        return person, np.zeros((len(times), 4), bool)
    regressor = sole_regressor(person.body)
    joints, points = person.posed(regressor)
    still = person.standing(points, ground)
    feet = points - person.root[:, None]
    root = plant_root(person.root, person.trusted, feet, still, ground, times, cutoffs.across)
    if ground is not None:
        above = ground.heights(joints[:, _ABOVE_FEET] + (root - person.root)[:, None])
        root = root - lift(above, times)[:, None] * ground.down
    shift = (root - person.root)[:, None]
    parents = person.body.parents
    world = np.array(person.turns)
    for j in range(1, len(parents)):
        world[:, j] = quaternions.multiply(world[:, parents[j]], person.turns[:, j])
    planted = plant_legs(world, joints + shift, points + shift, still, ground, times)
    turns = np.array(person.turns)
    turns[:, 1:] = quaternions.multiply(quaternions.inverse(planted[:, parents[1:]]), planted[:, 1:])
    return replace(person, turns=turns, root=root), still
