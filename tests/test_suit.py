"""What people wear: where each garment lies, that no relief shows, and that other bodies are plain."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.geometry.mesh import vertex_normals
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import SMPL
from openhmr.render.suit import BARE, SHIRTS, SHOES, suit_colours, suit_of

from .synthetic_models import model

BODY = open_body()
WORN = {
    "bare": BARE,
    "shoes": SHOES,
    "shirt": SHIRTS[0],
    "trousers": tuple(0.12 + 0.38 * np.array(SHIRTS[0])),
}


def most_moved_by(*names: str, body: Body = BODY) -> np.ndarray:
    """Vertices ``(V,)`` that follow one of these joints above all."""
    ids = [j for j, name in enumerate(SMPL.names) if name.split("_")[-1] in names]
    return np.isin(body.weights.argmax(1), ids)


@pytest.mark.parametrize("level", ["render", "full", "coarse"])
@pytest.mark.parametrize(
    ("joints", "garment"),
    [
        (("Head", "Hand"), "bare"),
        (("Toe",), "shoes"),
        (("Hip", "Knee"), "trousers"),
        (("Spine", "Chest", "Thorax", "Shoulder"), "shirt"),
        (("Elbow",), "shirt"),
    ],
)
def test_each_part_wears_its_garment(joints: tuple[str, ...], garment: str, level: str) -> None:
    body = open_body(level)
    worn = np.abs(suit_colours(body, 0) - np.array(WORN[garment])).max(1) < 1e-6
    assert worn[most_moved_by(*joints, body=body)].mean() > 0.9


@pytest.mark.parametrize("level", ["render", "full", "coarse"])
def test_head_and_hands_alone_are_bare(level: str) -> None:
    mesh = open_body(level)
    bare = np.abs(suit_colours(mesh, 3) - np.array(BARE)).max(1) < 1e-6
    body = most_moved_by("Pelvis", "Torso", "Spine", "Hip", "Knee", "Ankle", "Toe", "Shoulder", body=mesh)
    assert not bare[body].any()
    assert not bare[most_moved_by("Chest", body=mesh) & (mesh.v_template[:, 2] > 0.1)].any()


def test_the_suit_is_the_same_on_both_sides() -> None:
    colours = suit_colours(BODY, 0)
    mirrored = BODY.v_template * np.array([-1, 1, 1], np.float32)
    for start in range(0, len(mirrored), 1000):
        part = mirrored[start : start + 1000]
        twin = ((part[:, None] - BODY.v_template) ** 2).sum(-1).argmin(1)
        assert (colours[start : start + 1000] != colours[twin]).any(1).mean() < 0.005


def test_people_are_told_apart_by_muted_colours() -> None:
    shirts = np.array(SHIRTS)
    distance = np.linalg.norm(shirts[:, None] - shirts, axis=-1) + np.eye(len(shirts))
    assert distance.min() > 0.15
    assert (np.ptp(shirts, axis=1) < 0.45).all(), "muted"
    colours = [suit_colours(BODY, i) for i in range(len(shirts) + 1)]
    assert_array_equal(colours[0], colours[-1])
    assert colours[0].shape == (BODY.num_vertices, 3) and colours[0].dtype == np.float32
    assert all(c.min() >= 0 and c.max() <= 1 for c in colours)


def test_hands_and_unknown_trees_are_plain() -> None:
    def made(hand: bool) -> Body:
        arrays = model(0, hand)
        names = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
        parents = arrays["kintree_table"][0].astype(np.int64)
        parents[0] = -1
        return Body(*(arrays[name] for name in names), parents, arrays["f"].astype(np.int32))

    colours = suit_colours(made(hand=True), 2)
    assert (colours == colours[0]).all() and colours.shape == (778, 3)
    smpl = made(hand=False)  # numbers without a person's shape: dressed nevertheless
    assert len(np.unique(suit_colours(smpl, 2), axis=0)) > 1
    drawn, normals = suit_of(smpl).shape(smpl.v_template)
    assert np.isfinite(drawn).all() and np.isfinite(normals).all()


def test_trees_that_begin_as_smpl_wear_the_same_suit() -> None:
    """SMPL+H: the hands' two joints replaced by fifteen a hand."""
    keep = [*range(22), *[22] * 15, *[23] * 15]
    weights = BODY.weights[:, keep]
    weights[:, 22:] /= 15
    parents = [*BODY.parents[:22], *[20] * 15, *[21] * 15]
    larger = replace(
        BODY,
        posedirs=BODY.posedirs[..., :0],
        J_regressor=BODY.J_regressor[keep],
        weights=weights,
        parents=parents,
    )
    assert_array_equal(suit_colours(larger, 1), suit_colours(BODY, 1))


def posed(seed: int) -> np.ndarray:
    pose = np.random.default_rng(seed).normal(size=(24, 3)) * 0.2
    return skin(BODY, pose, np.zeros(10))[0]


def test_cloth_lies_close_and_bare_parts_stay() -> None:
    suit = suit_of(BODY)
    for seed in range(3):
        bare = posed(seed).astype(np.float32)
        drawn, normals = suit.shape(bare)
        moved = np.linalg.norm(drawn - bare, axis=1)
        assert not moved[most_moved_by("Head", "Hand")].any()
        assert moved[~most_moved_by("Ankle", "Toe")].max() < 0.02
        assert moved.max() < 0.06  # between the toes
        assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
        assert (np.einsum("vd,vd->v", normals, vertex_normals(bare, BODY.faces)) > 0).mean() > 0.98


def test_drawn_shape_turns_with_the_body() -> None:
    suit, bare = suit_of(BODY), posed(5)
    R, t = axis_angle_to_matrix(np.array([0.3, -1.2, 0.5])), np.array([0.2, -0.1, 3.0])
    drawn, normals = suit.shape(bare)
    again, turned = suit.shape(bare @ R.T + t)
    assert_allclose(again, drawn @ R.T + t, atol=2e-5)
    assert_allclose(turned, normals @ R.T, atol=2e-3)


def test_small_relief_does_not_show() -> None:
    """A bump of 4 mm on a single vertex of the chest, the belly or the back is not seen in shading."""
    suit = suit_of(BODY)
    rest = BODY.v_template.astype(np.float64)
    outward = vertex_normals(rest, BODY.faces)
    before = suit.shape(rest)[1]
    for spot in ((0.08, 0.32, 1.0), (0.0, 0.12, 1.0), (0.05, 0.3, -1.0)):
        facing = outward[:, 2] * spot[2] > 0.5
        distance = np.where(facing, np.hypot(rest[:, 0] - spot[0], rest[:, 1] - spot[1]), np.inf)
        vertex = int(distance.argmin())
        bumped = rest.copy()
        bumped[vertex] += 0.004 * outward[vertex]
        tilt = [
            np.degrees(np.arccos(np.clip((a * b).sum(1), -1, 1))).max()
            for a, b in (
                (vertex_normals(bumped, BODY.faces), outward),
                (suit.shape(bumped)[1], before),
            )
        ]
        assert tilt[0] > 4 * tilt[1] and tilt[1] < 3, tilt
