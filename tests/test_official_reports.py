"""The printed results of the originals, letter for letter, from the recorded meshes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from openhmr.errors import InputError
from openhmr.lab.evaluation import official_reports as official
from openhmr.lab.metrics.freihand import curve, f_scores, read_truth, scores
from tests.test_metrics import _regressor


@pytest.fixture(scope="module")
def reference(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "pose2mesh" / "metrics.npz") as file:
        return dict(file)


def test_reports_are_the_originals_pages(reference) -> None:
    h36m, smpl = _regressor(reference, "h36m", 17), _regressor(reference, "smpl", 24)
    p, g = reference["pred_mesh"], reference["gt_mesh"]
    actions = [official.action_of(str(path)) for path in reference["h36m_img_paths"]]
    assert actions == [0, 1, 2]
    page = official.human36m(p, g, reference["h36m_gt_joint_cam"], h36m, smpl, actions)
    assert page.text == str(reference["h36m_evaluate_print"])
    assert official.pw3d(p, g, h36m, smpl).text == str(reference["pw3d_evaluate_print"])
    assert official.surreal(p, g, smpl).text == str(reference["surreal_evaluate_print"])
    coco = official.pw3d_poses(reference["j_coco_pred"], reference["j_coco_gt"])
    assert coco.text == str(reference["pw3d_evaluate_joint_print"])
    human = official.human36m_poses(reference["j_human36_pred"], reference["j_human36_gt"], [0, 1, 2, 3, 4])
    assert f"MPJPE) >> tot: {float(reference['j_human36_mpjpe']):.2f}\n" in human.text
    smpl_page = official.surreal_poses(reference["j_smpl_pred"], reference["j_smpl_gt"])
    assert smpl_page.text.startswith(f"MPJPE: {float(reference['j_smpl_mpjpe']):.2f} mm\n")


def test_sane_switches_and_files(reference, tmp_path) -> None:
    h36m, smpl = _regressor(reference, "h36m", 17), _regressor(reference, "smpl", 24)
    p, g = reference["pred_mesh"], reference["gt_mesh"]
    sane = official.pw3d(p, g, h36m, smpl, pa_vertices=True)
    assert sane.rows[-1].printed == pytest.approx(sane.extra["PA-MPVPE"]) and sane.rows[-1].printed > 0
    page = official.human36m(p, g, reference["h36m_gt_joint_cam"], h36m, smpl, [0, 1, 2])
    page.write(tmp_path, "Human36M")
    rows = json.loads((tmp_path / "Human36M.json").read_text())
    assert rows[0] == {
        "error": "H36M pose error (MPJPE)",
        "subset": "all",
        "value": pytest.approx(173.26, abs=0.005),
        "samples": 3,
    }
    with (tmp_path / "Human36M.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) == 4 + 4 * 3 + 1 and float(table[4]["value"]) == pytest.approx(
        215.71, abs=0.005
    )


@pytest.mark.parametrize("path", ["s_09/x.jpg", "actors/s_09/x.jpg", "s_09_act_40_x.jpg"])
def test_an_action_that_cannot_be_read_is_refused(path) -> None:
    assert official.action_of("my_act/actors/s_09_act_03_subact_01_ca_01/x_act.jpg") == 1
    with pytest.raises(InputError, match="tells no action"):
        official.action_of(path)


def test_videos_are_smoothed_one_by_one(reference) -> None:
    truth = np.zeros((40, 17, 3))
    poses = np.zeros((40, 17, 3))
    poses[:, :14] = reference["smooth_in"] - reference["smooth_in"][:, :1]
    poses[:, 0] = 0
    found = official.video_errors(
        np.concatenate([poses, poses]),
        np.concatenate([truth, truth]),
        ["a"] * 40 + ["b"] * 40,
        official.HUMAN36,
    )
    once = official.video_errors(poses, truth, ["a"] * 40, official.HUMAN36)
    assert (
        found == pytest.approx(once)
        and found["smoothed acceleration error"] < 0.5 * found["acceleration error"]
    )


def test_i2l_lines() -> None:
    page = official.i2l({"mpjpe_lixel": [1.0, 2.0], "pa_mpjpe_lixel": [0.5, 0.125]})
    assert page.text == (
        "MPJPE from lixel mesh: 1.50 mm\nPA MPJPE from lixel mesh: 0.31 mm\n"
        "MPJPE from param mesh: nan mm\nPA MPJPE from param mesh: nan mm\n"
    )


def test_freihand_scores(tmp_path) -> None:
    rng = np.random.default_rng(0)
    joints, vertices = rng.normal(size=(2, 21, 3)), rng.normal(size=(2, 778, 3))
    (tmp_path / "evaluation_xyz.json").write_text(json.dumps(joints.tolist()))
    truth = read_truth(tmp_path / "evaluation_xyz.json", joints.shape)
    found = scores(1000 * (joints * 2 + 3), 1000 * vertices, 1000 * truth, 1000 * vertices)
    assert found["PA-MPJPE"] == pytest.approx(0, abs=1e-9) and found["F@5"] == 1 and found["mesh AUC"] > 0.99
    with pytest.raises(InputError, match="same samples"):
        read_truth(tmp_path / "evaluation_xyz.json", (3, 21, 3))
    with pytest.raises(InputError, match="no list of points"):
        read_truth(tmp_path / "missing.json", (3, 21, 3))
    assert f_scores(vertices, vertices, (5.0,)) == {5.0: 1.0}
    moved = vertices + np.array([0, 0, 1e4])
    assert f_scores(moved, vertices, (5.0, 15.0)) == {5.0: 0.0, 15.0: 0.0}
    # Two points, of which one is met: precision and recall are a half.
    half = np.array([[[0.0, 0, 0], [100, 0, 0]]]), np.array([[[0.0, 0, 3], [300, 0, 0]]])
    assert f_scores(*half, (5.0,)) == {5.0: 0.5}
    assert curve(np.array([0.0, 25.0, 100.0]))[1] == pytest.approx((1 + 0.5 + 0) / 3, abs=0.01)
