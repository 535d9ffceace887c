"""Good and bad cases as a picture: the best, the median and the worst of many test poses, prediction beside
truth."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.io.images import write_png
from openhmr.joints import HUMAN36
from openhmr.lab.evaluation.lift_benchmark import SEED, Predictor
from openhmr.lab.evaluation.mesh_errors import ExactMesh, MeshErrors
from openhmr.lab.metrics.errors import mpjpe
from openhmr.lab.synth.pairs import PairSource
from openhmr.render.compose import over
from openhmr.render.scene import render

POSES, CELL = 200, (330, 560)
QUARTER_TURN = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])


def case_picture(predict: Predictor, pairs: PairSource, body: Body, path: Path) -> list[float]:
    """Write the picture (columns: best, median, worst; rows: from the camera, from the side; prediction left,
    truth right) and return the three errors (MPJPE, mm)."""
    batch = pairs(POSES, torch.Generator().manual_seed(SEED + 2))
    guess = MeshErrors(body).upsample(predict(batch)).mT.numpy()
    joints = np.matmul(body.joint_regressor(HUMAN36), guess)
    errors = 1000 * mpjpe(joints, batch.joints.numpy(), HUMAN36)
    truth = ExactMesh(body)(batch.rotations, batch.translations, batch.betas).mT.numpy()
    chosen = np.argsort(errors)[[0, POSES // 2, POSES - 1]]
    columns = [
        np.concatenate([_cell(guess[i], truth[i], body, turn) for turn in (np.eye(3), QUARTER_TURN)])
        for i in chosen
    ]
    write_png(path, np.concatenate(columns, 1))
    return [float(e) for e in errors[chosen]]


def _cell(guess: NDArray, truth: NDArray, body: Body, turn: NDArray) -> NDArray[np.uint8]:
    height, width = CELL
    meshes = np.stack([guess, truth]) @ turn.T
    meshes = meshes - (meshes.min(1, keepdims=True) + meshes.max(1, keepdims=True)) / 2
    meshes[:, :, 0] += np.array([-0.97, 0.97])[:, None]
    # A long lens: 20 m away, 2.3 m of height fill the cell.
    focal = height / 2.3 * 20
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return over(246, render(meshes + np.array([0, 0, 20.0]), body, K, CELL))
