"""The final test of a trained official network: its errors as the original prints them, and as files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.mano import mano_joint_regressor
from openhmr.errors import InputError
from openhmr.joints import HUMAN36
from openhmr.lab.evaluation import official_reports as official
from openhmr.lab.evaluation.official_i2l import OfficialTest, write_hands
from openhmr.lab.evaluation.official_reports import Report
from openhmr.lab.metrics import freihand
from openhmr.lab.training.official_i2l import I2LRecipe
from openhmr.lab.training.official_pose2mesh import Pose2MeshRecipe
from openhmr.lab.training.previews import write_mesh

EVERY_MESH = 500
"""One of so many test meshes is written, where TEST.vis asks for them."""
TRUTH_FILES = ("evaluation_xyz.json", "evaluation_verts.json")
"""FreiHAND's published ground truth of its evaluation set."""


def report(recipe: Pose2MeshRecipe | I2LRecipe, folder: Path, truth: Path | None = None) -> Report:
    """Test a recipe with the weights that it has on its test set; files go to ``folder``. ``truth`` is a
    folder with FreiHAND's ground truth."""
    if isinstance(recipe, I2LRecipe):
        return report_i2l(recipe, folder, truth)
    return report_pose2mesh(recipe, folder, truth)


def report_pose2mesh(work: Pose2MeshRecipe, folder: Path, truth: Path | None = None) -> Report:
    """:func:`report` of Pose2Mesh. Of a sample, a test set's ``tag(index)`` says the image's path (Human3.6M)
    or the video and person (3DPW)."""
    name = work.config.DATASET.test_list[0]
    meshes, poses, items = [], [], []
    for batch, vertices, pose3d in work.predictions(work.config.TEST.batch_size):
        items += batch
        poses.append(pose3d)
        if vertices is not None:
            meshes.append(vertices)
    if not items:
        raise InputError(f"the test set {name} has no samples; check its folder")

    def stack(key: str) -> NDArray[np.float64]:
        return np.stack([np.asarray(item[key], np.float64) for item in items])

    pose = np.concatenate(poses)
    tag = getattr(work.test, "tag", lambda index: "")
    tags = [tag(i) for i in range(len(items))]
    if not meshes and name == "FreiHAND":
        # As officially, the joints stand in for the mesh.
        folder.mkdir(parents=True, exist_ok=True)
        write_hands(folder / "pred.json", zip(pose, pose, strict=True))
        result = Report(f"Saved {folder / 'pred.json'}\n", [])
    elif not meshes:
        result = _pose_report(name, pose, stack("lift_pose3d"), tags)
    else:
        mesh = np.concatenate(meshes)
        result = (
            _hand_report(work, mesh, folder, truth)
            if name == "FreiHAND"
            else _mesh_report(work, name, mesh, stack, tags)
        )
        for i in range(0, len(mesh), EVERY_MESH) if work.config.TEST.vis else ():
            folder.mkdir(parents=True, exist_ok=True)
            write_mesh(folder / f"{name}-{i:06d}.obj", mesh[i] / 1000, work.body.faces)
    result.write(folder, name)
    return result


def _pose_report(name: str, pose: NDArray, truth: NDArray, tags: Sequence[str]) -> Report:
    if name == "Human36M":
        return official.human36m_poses(pose, truth, [official.action_of(t) for t in tags])
    if name == "PW3D":
        return official.pw3d_poses(pose, truth)
    if name == "SURREAL":
        return official.surreal_poses(pose, truth)
    raise InputError(f"stage 1 has no errors on {name}; test it on Human36M, PW3D or SURREAL")


def _mesh_report(
    work: Pose2MeshRecipe,
    name: str,
    mesh: NDArray,
    stack: Callable[[str], NDArray[np.float64]],
    tags: Sequence[str],
) -> Report:
    truth, smpl = stack("mesh") * 1000, work.body.J_regressor
    if name == "SURREAL":
        return official.surreal(mesh, truth, smpl)
    human36 = work.body.joint_regressor(HUMAN36)
    if name == "Human36M":
        return official.human36m(
            mesh, truth, stack("reg_pose3d"), human36, smpl, [official.action_of(t) for t in tags]
        )
    if name == "PW3D":
        return official.pw3d(
            mesh, truth, human36, smpl, tags if any(tags) else (), not work.config.QUIRKS.pw3d_pa_mpvpe_zero
        )
    raise InputError(f"there are no errors on {name}; test on Human36M, PW3D, SURREAL or FreiHAND")


def _hand_report(work: Pose2MeshRecipe, mesh: NDArray, folder: Path, truth: Path | None) -> Report:
    """Pose2Mesh's ``pred.json`` holds millimetres (official), or metres with the switch; FreiHAND's server
    aligns them."""
    joints = np.matmul(mano_joint_regressor(work.body), mesh)
    unit = 1.0 if work.config.QUIRKS.hand_mm else 1000.0
    folder.mkdir(parents=True, exist_ok=True)
    write_hands(folder / "pred.json", zip(joints / unit, mesh / unit, strict=True))
    return Report(f"Saved {folder / 'pred.json'}\n", [], hand_scores(joints, mesh, truth))


def hand_scores(joints: NDArray, mesh: NDArray, truth: Path | None) -> dict[str, float]:
    """FreiHAND's scores of joints and meshes in millimetres, where ``truth`` is the folder of its ground
    truth."""
    if truth is None:
        return {}
    true_joints, true_mesh = (
        freihand.read_truth(truth / f, a.shape) * 1000
        for f, a in zip(TRUTH_FILES, (joints, mesh), strict=True)
    )
    return freihand.scores(joints, mesh, true_joints, true_mesh)


def report_i2l(work: I2LRecipe, folder: Path, truth: Path | None = None) -> Report:
    """:func:`report` of I2L-MeshNet."""
    name, test = work.config.testset, work.test
    if name == "FreiHAND":
        assert isinstance(test, OfficialTest)
        hands = [
            test.hand(index, out, work.config.QUIRKS.hand_param_mm) for index, _, out in work.predictions()
        ]
        folder.mkdir(parents=True, exist_ok=True)
        write_hands(folder / "pred.json", hands)
        joints, mesh = (np.stack(part) for part in zip(*hands, strict=True))
        in_mm = work.config.stage == "param" and work.config.QUIRKS.hand_param_mm
        unit = 1 if in_mm else 1000
        result = Report(f"Saved {folder / 'pred.json'}\n", [], hand_scores(joints * unit, mesh * unit, truth))
    elif name == "MSCOCO":
        # Nothing is known in 3D; as officially nothing is printed, but a mesh is kept.
        result = Report("", [])
        work.save_sample(folder, 0)
    else:
        result = official.i2l(work.sample_errors())
    result.write(folder, f"{name}-{work.config.stage}")
    return result
