import pickle
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import openhmr.joints
from openhmr.errors import InputError
from openhmr.joints import COCO, COCO18, HUMAN36, JOINT_SETS, MANO, SMPL, JointSet, get_joint_set
from openhmr.joints.coco import COCO17
from openhmr.joints.mano import MANO_PARENTS
from openhmr.joints.smpl import SMPL_PARENTS

SETS = [COCO, HUMAN36, SMPL, MANO]


# Of I2L's COCO, the official skeleton leaves head, trunk and pelvis apart.
@pytest.mark.parametrize(
    "joint_set", [s for s in JOINT_SETS.values() if s is not COCO18], ids=lambda s: s.name
)
def test_skeleton_joins_all_joints_to_a_tree_or_more(joint_set: JointSet) -> None:
    reached = {joint_set.root}
    for _ in range(joint_set.size):
        reached |= {b for a, b in joint_set.skeleton if a in reached} | {
            a for a, b in joint_set.skeleton if b in reached
        }
    assert reached == set(range(joint_set.size)) and len(set(joint_set.names)) == joint_set.size
    assert set(joint_set.eval_joints) <= reached


@pytest.mark.parametrize("joint_set", JOINT_SETS.values(), ids=lambda s: s.name)
def test_flip_is_an_involution_that_exchanges_sides(joint_set: JointSet) -> None:
    flip = joint_set.flip_permutation
    assert np.array_equal(flip[flip], np.arange(joint_set.size))
    mirrored = {"L": "R", "R": "L"}
    for i, name in enumerate(joint_set.names):
        expected = mirrored[name[0]] + name[1:] if name[:2] in ("L_", "R_") else name
        assert joint_set.names[flip[i]] == expected
    # A mirrored skeleton has the same bones.
    bones = {frozenset(e) for e in joint_set.skeleton}
    assert bones == {frozenset(flip[list(e)].tolist()) for e in joint_set.skeleton}


def test_published_flip_pairs() -> None:
    def normal(pairs):
        return {tuple(sorted(p)) for p in pairs}

    assert normal(HUMAN36.flip_pairs) == normal([(1, 4), (2, 5), (3, 6), (14, 11), (15, 12), (16, 13)])
    assert COCO.flip_pairs == tuple((i, i + 1) for i in range(1, 17, 2))
    assert SMPL.flip_pairs == (
        (1, 2),
        (4, 5),
        (7, 8),
        (10, 11),
        (13, 14),
        (16, 17),
        (18, 19),
        (20, 21),
        (22, 23),
    )
    assert (
        MANO.flip_pairs == () and len(MANO.extra_edges) == 16 and MANO.extra_edges[4:6] == ((2, 6), (6, 10))
    )
    assert [s.size for s in SETS] == [19, 17, 24, 21] and len(HUMAN36.eval_joints) == 14


def test_smpl_bones_are_its_kinematic_tree() -> None:
    assert {frozenset(e) for e in SMPL.skeleton} == {
        frozenset((p, j)) for j, p in enumerate(SMPL_PARENTS) if p >= 0
    }
    assert all(p < j for j, p in enumerate(MANO_PARENTS)) and len(MANO_PARENTS) == 16


@pytest.mark.parametrize("rule", [None, "product", "present"])
def test_derived_joints(rule: Literal["product", "present"] | None) -> None:
    joints = np.random.default_rng(0).random((5, 17, 3)).astype(np.float32)
    joints[0, COCO.names.index("L_Hip"), 2] = 0
    before = joints.copy()
    out = COCO.complete(joints, rule)
    assert out.shape == (5, 19, 3) and out.dtype == np.float32 and np.array_equal(joints, before)
    assert np.array_equal(out[:, :17], joints)
    assert np.array_equal(COCO18.complete(joints, rule), out[:, :18])
    for row, name in ((17, "Hip"), (18, "Shoulder")):
        left, right = joints[:, COCO17.index("L_" + name)], joints[:, COCO17.index("R_" + name)]
        expected = (left + right) * np.float32(0.5)
        if rule == "product":
            expected[:, 2] = left[:, 2] * right[:, 2]
        if rule == "present" and name == "Hip":
            expected[0] = 0
        assert np.array_equal(out[:, row], expected)
    assert np.array_equal(COCO.complete(out, rule), out)
    assert np.array_equal(HUMAN36.complete(joints), joints)


def test_derived_joints_of_regressors_and_of_whole_numbers() -> None:
    matrix = np.random.default_rng(0).random((17, 50))
    points = np.random.default_rng(1).random((50, 3))
    np.testing.assert_allclose(
        COCO.complete(matrix) @ points, COCO.complete(matrix @ points), rtol=1e-14, atol=0
    )
    whole = COCO.complete(np.arange(51).reshape(17, 3))
    assert whole[17].tolist() == [34.5, 35.5, 36.5]  # hips are rows 11 and 12


@pytest.mark.parametrize("shape", [(18, 3), (3,), (21, 3)])
def test_completion_refuses_other_numbers_of_joints(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"the coco set needs \(\.\.\., 17 or 19, C\)"):
        COCO.complete(np.zeros(shape))
    with pytest.raises(InputError, match=r"the human36 set needs \(\.\.\., 17, C\)"):
        HUMAN36.complete(np.zeros(shape))


def test_the_table_knows_every_set_by_its_name() -> None:
    assert all(get_joint_set(name) is s and s.name == name for name, s in JOINT_SETS.items())
    found = {s.name for s in vars(openhmr.joints).values() if isinstance(s, JointSet)}
    assert found == set(JOINT_SETS)
    own = replace(COCO, name="own")
    assert get_joint_set(own) is own
    for s in JOINT_SETS.values():
        pickled = pickle.loads(pickle.dumps(s))  # data loaders hand sets to their workers
        assert pickled == s and hash(pickled) == hash(s)


@pytest.mark.parametrize(
    ("name", "allowed", "cause"),
    [
        ("human_36", None, "did you mean 'human36'"),
        ("COCO", None, "did you mean 'coco'"),
        ("xyz", None, "'xyz' is not one of coco, coco18, human36,"),
        ("mano", ("coco", "human36"), "'mano' is not one of coco, human36"),
    ],
)
def test_unknown_joint_sets(name: str, allowed: tuple[str, ...] | None, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        get_joint_set(name, allowed)


def test_no_other_module_lists_joint_sets() -> None:
    """A dict or tuple of several set names outside of the table would be a second one."""
    source = Path(openhmr.joints.__file__).parents[1]
    offenders = [
        str(path)
        for path in source.rglob("*.py")
        if "joints" not in path.relative_to(source).parts and "JOINT_SETS =" in path.read_text()
    ]
    assert not offenders
