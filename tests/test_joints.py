import numpy as np
import pytest

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet
from openhmr.joints.coco import COCO17, add_pelvis_neck
from openhmr.joints.mano import MANO_PARENTS
from openhmr.joints.smpl import SMPL_PARENTS

SETS = [COCO, HUMAN36, SMPL, MANO]


@pytest.mark.parametrize("joint_set", SETS, ids=lambda s: s.name)
def test_skeleton_joins_all_joints_to_a_tree_or_more(joint_set: JointSet) -> None:
    reached = {joint_set.root}
    for _ in range(joint_set.size):
        reached |= {b for a, b in joint_set.skeleton if a in reached} | {
            a for a, b in joint_set.skeleton if b in reached
        }
    assert reached == set(range(joint_set.size)) and len(set(joint_set.names)) == joint_set.size
    assert set(joint_set.eval_joints) <= reached


@pytest.mark.parametrize("joint_set", SETS, ids=lambda s: s.name)
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
    normal = lambda pairs: {tuple(sorted(p)) for p in pairs}
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


@pytest.mark.parametrize("score", [False, True])
def test_add_pelvis_neck(score: bool) -> None:
    joints = np.random.default_rng(0).random((5, 17, 3)).astype(np.float32)
    before = joints.copy()
    out = add_pelvis_neck(joints, score=score)
    assert out.shape == (5, 19, 3) and out.dtype == np.float32 and np.array_equal(joints, before)
    pelvis, neck = COCO.names.index("Pelvis"), COCO.names.index("Neck")
    for row, name in ((pelvis, "Hip"), (neck, "Shoulder")):
        left, right = joints[:, COCO17.index("L_" + name)], joints[:, COCO17.index("R_" + name)]
        np.testing.assert_allclose(out[:, row, :2], (left + right)[:, :2] / 2, rtol=1e-6)
        expected = left[:, 2] * right[:, 2] if score else (left + right)[:, 2] / 2
        np.testing.assert_allclose(out[:, row, 2], expected, rtol=1e-6)


def test_add_pelvis_neck_refuses_other_sets() -> None:
    with pytest.raises(InputError, match="17"):
        add_pelvis_neck(np.zeros((19, 3)))
