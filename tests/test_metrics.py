import re
from pathlib import Path

import numpy as np
import pytest

from openhmr.geometry.alignment import align_similarity, similarity_transform
from openhmr.geometry.mesh import edges
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet
from openhmr.lab.metrics.errors import (
    acceleration_error,
    broken_edges,
    mean_distance,
    mpjpe,
    mpvpe,
    pa_mpjpe,
    pa_mpvpe,
    root_relative,
)
from openhmr.sequence.one_euro import smooth_one_euro


@pytest.fixture(scope="module")
def reference(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "pose2mesh" / "metrics.npz") as file:
        return dict(file)


def _regressor(reference: dict, name: str, joints: int) -> np.ndarray:
    row, col, value = reference[f"reg_{name}"]
    out = np.zeros((joints, 6890))
    out[row.astype(int), col.astype(int)] = value
    return out.astype(np.float32)


def _printed(reference: dict, key: str) -> list[str]:
    return re.findall(r": (?:tot: )?(\d+\.\d\d)", str(reference[key]).replace("Directions", "\nDirections"))


@pytest.mark.parametrize("joint_set", [HUMAN36, COCO, SMPL, MANO], ids=lambda s: s.name)
def test_pose_metrics(reference: dict, joint_set: JointSet) -> None:
    p, g = (reference[f"j_{joint_set.name}_{k}"] for k in ("pred", "gt"))
    assert mpjpe(p, g, joint_set).mean() == pytest.approx(reference[f"j_{joint_set.name}_mpjpe"], rel=2e-7)
    assert pa_mpjpe(p, g, joint_set).mean() == pytest.approx(
        reference[f"j_{joint_set.name}_pampjpe"], rel=1e-6
    )
    keep = list(joint_set.eval_joints)
    a, b = (root_relative(x, x[:, joint_set.root])[0, keep] for x in (p, g))
    for ours, name in zip(similarity_transform(a, b), ("c", "R", "t"), strict=True):
        np.testing.assert_allclose(ours, reference[f"j_{joint_set.name}_rt_{name}"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(align_similarity(a, b), reference[f"j_{joint_set.name}_aligned0"], atol=1e-3)


def test_printed_figures_of_the_original(reference: dict) -> None:
    h36m, smpl = _regressor(reference, "h36m", 17), _regressor(reference, "smpl", 24)
    p, g = reference["pred_mesh"], reference["gt_mesh"]
    ours = {
        "H36M": mpjpe(h36m @ p, h36m @ g, HUMAN36),
        "PA": pa_mpjpe(h36m @ p, h36m @ g, HUMAN36),
        "SMPL": mpjpe(smpl @ p, smpl @ g, SMPL),
        "MPVPE": mpvpe(p, g, smpl[0]),
    }
    assert [f"{x.mean():.2f}" for x in ours.values()] == _printed(reference, "pw3d_evaluate_print")[:4]
    assert [f"{ours[k].mean():.2f}" for k in ("SMPL", "MPVPE")] == _printed(
        reference, "surreal_evaluate_print"
    )
    truth = reference["h36m_gt_joint_cam"]
    protocol2 = [
        mpjpe(h36m @ p, truth, HUMAN36),
        pa_mpjpe(h36m @ p, truth, HUMAN36),
        ours["SMPL"],
        ours["MPVPE"],
    ]
    # The printed page gives each figure over all samples, then once per action; here each sample is an
    # action.
    expected = [f"{x:.2f}" for figure in protocol2 for x in (figure.mean(), *figure)]
    assert expected == _printed(reference, "h36m_evaluate_print")
    coco = [f(reference["j_coco_pred"], reference["j_coco_gt"], COCO).mean() for f in (mpjpe, pa_mpjpe)]
    assert [f"{x:.2f}" for x in coco] == _printed(reference, "pw3d_evaluate_joint_print")


def test_surface_error_depends_on_the_root(reference: dict) -> None:
    p, g = reference["pred_mesh"], reference["gt_mesh"]
    assert mpvpe(p, g, _regressor(reference, "smpl", 24)[0]).mean() == pytest.approx(
        reference["surreal_both_surface"], rel=1e-6
    )
    assert mpvpe(p, g, _regressor(reference, "h36m", 17)[0]).mean() == pytest.approx(
        reference["pw3d_both_surface"], rel=1e-6
    )


def test_procrustes_never_reflects(reference: dict) -> None:
    c, R, t = similarity_transform(reference["reflect_A"], reference["reflect_B"])
    assert np.linalg.det(R) == pytest.approx(1)
    assert c == pytest.approx(reference["reflect_c"], rel=1e-12)
    np.testing.assert_allclose(R, reference["reflect_R"], atol=1e-12)
    np.testing.assert_allclose(t, reference["reflect_t"], atol=1e-12)


def test_procrustes_recovers_a_similarity() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 4, 20, 3))
    R = np.linalg.qr(rng.normal(size=(3, 4, 3, 3)))[0]
    R *= np.linalg.det(R)[..., None, None]
    b = 1.7 * a @ np.swapaxes(R, -1, -2) + rng.normal(size=(3, 4, 1, 3))
    c, found, _ = similarity_transform(a, b)
    np.testing.assert_allclose(c, 1.7)
    np.testing.assert_allclose(found, R, atol=1e-12)
    np.testing.assert_allclose(align_similarity(a, b), b, atol=1e-12)
    assert pa_mpvpe(a, b).max() < 1e-12 and mean_distance(a, b).min() > 0.1


def test_no_similarity_fits_better() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 12, 3))
    best = ((align_similarity(a, b) - b) ** 2).sum()
    c, R, t = similarity_transform(a, b)
    for _ in range(200):
        turn = np.linalg.qr(np.eye(3) + 0.05 * rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.diag(turn))
        other = (c + 0.05 * rng.normal()) * a @ (turn @ R).T + t + 0.05 * rng.normal(size=3)
        assert ((other - b) ** 2).sum() >= best


def test_acceleration_error(reference: dict) -> None:
    p, g = reference["smooth_in"], reference["accel_gt"]
    np.testing.assert_allclose(acceleration_error(p, g), reference["accel_err"], rtol=1e-12)
    np.testing.assert_allclose(
        acceleration_error(p, g, reference["accel_vis"]), reference["accel_err_vis"], rtol=1e-12
    )


def test_one_euro(reference: dict) -> None:
    points = reference["smooth_in"]
    np.testing.assert_allclose(smooth_one_euro(points), reference["smooth_default"], atol=1e-12)
    np.testing.assert_allclose(
        smooth_one_euro(points, 0.004, 0.005), reference["smooth_0.004_0.005"], atol=1e-12
    )
    assert np.array_equal(smooth_one_euro(np.ones((9, 2))), np.ones((9, 2)))
    assert smooth_one_euro(np.zeros((0, 3))).shape == (0, 3)
    np.testing.assert_array_equal(smooth_one_euro(points)[:, 2, 1], smooth_one_euro(points[:, 2, 1]))


def test_broken_edges_are_counted_one_by_one() -> None:
    """A tetrahedron whose tip is pulled out: its three edges are too long until the whole is as large."""
    faces = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
    pairs = edges(faces)
    assert pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    whole = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    spike, thread = whole.copy(), whole.copy()
    spike[3] *= 4
    thread[3] = whole[2] + 0.4 * (whole[3] - whole[2])
    np.testing.assert_allclose(
        broken_edges(np.stack([whole, spike, thread]), whole, pairs), [0, 3 / 6, 1 / 6]
    )
    np.testing.assert_allclose(
        broken_edges(np.stack([1.9 * whole, 2.1 * whole, 0.4 * whole]), whole, pairs), [0, 1, 1]
    )
