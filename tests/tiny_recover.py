"""A stand-in for the compact I2L-MeshNet on the tiny body, as an ONNX file: it stands the body where the
bright pixels are."""

from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper, parser, save_model

from openhmr.bodies.body import Body
from openhmr.joints import COCO
from openhmr.predict.coarse_mesh import coarse_regressor
from tests.tiny_lifter import base_vertices

SIGMA = 0.4

# Everything follows from mean and variance of the pixels above 0.5: a uniform rectangle of h pixels has
# variance h^2 / 12.
GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[n,3,256,256] image) => (float[n,J,3] joints_lixel, float[n,J,3] joints_sigma,
    float[n,V,3] vertices_lixel, float[n,V,3] vertices_sigma, float[n] scale_m,
    float[n,24,3,3] rotations, float[n,10] betas)
{
    grey = ReduceMean <axes = [1], keepdims = 0> (image)
    over = Sub (grey, half)
    bright = Relu (over)
    mass0 = ReduceSum <keepdims = 1> (bright, rows_columns)
    mass = Add (mass0, tiny)
    w = Div (bright, mass)
    wx = ReduceSum <keepdims = 0> (w, rows)
    wy = ReduceSum <keepdims = 0> (w, columns)
    cx = MatMul (wx, grid)
    cy = MatMul (wy, grid)
    square = MatMul (wy, grid2)
    cycy = Mul (cy, cy)
    variance0 = Sub (square, cycy)
    variance1 = Relu (variance0)
    variance = Add (variance1, tiny)
    twelve_fold = Mul (variance, twelve)
    h_px = Sqrt (twelve_fold)
    h_lixel = Div (h_px, four)
    h = Reshape (h_lixel, as_points)
    h_line = Reshape (h_lixel, as_line)
    scale_m = Div (tall, h_line)
    c_px = Concat <axis = 1> (cx, cy)
    c_lixel = Div (c_px, four)
    c = Reshape (c_lixel, as_pairs)
    nil = Mul (h, zero)
    lost0 = Div (faint, mass)
    lost = Reshape (lost0, as_points)
    spread = Add (lost, sigma)
    j_sized = Mul (j_xy, h)
    j_placed = Add (j_sized, c)
    j_deep = Add (j_z, nil)
    joints_lixel = Concat <axis = 2> (j_placed, j_deep)
    joints_sigma = Mul (j_one, spread)
    v_sized = Mul (v_xy, h)
    v_placed = Add (v_sized, c)
    v_deep = Add (v_z, nil)
    vertices_lixel = Concat <axis = 2> (v_placed, v_deep)
    vertices_sigma = Mul (v_one, spread)
    nil4 = Reshape (nil, as_matrices)
    rotations = Add (upright, nil4)
    nil2 = Reshape (nil, as_rows)
    betas = Add (mean_shape, nil2)
}
"""


def stature(body: Body) -> float:
    return float(np.ptp(base_vertices(body)[:, 1]))


def write_tiny_recoverer(path: Path, body: Body, made_for: str | None = None, kind: str = "i2l-body") -> Path:
    """A bright rectangle as tall as the body gives its upright T-pose there, whatever the crop; the
    deviations are 0.4 lixels, and large where nothing is bright."""
    mesh = base_vertices(body)
    joints = coarse_regressor(body, body.joint_regressor(COCO)) @ mesh
    middle, tall = 0.5 * (mesh.min(0) + mesh.max(0)), stature(body)
    numbers: dict[str, object] = {
        "half": 0.5,
        "tiny": 1e-6,
        "zero": 0.0,
        "twelve": 12.0,
        "four": 4.0,
        "tall": tall,
        "faint": 50.0,
        "sigma": SIGMA,
        "grid": np.arange(256.0)[:, None],
        "grid2": np.arange(256.0)[:, None] ** 2,
        "upright": np.concatenate([np.diag([1.0, -1, -1])[None], np.tile(np.eye(3), (23, 1, 1))])[None],
        "mean_shape": np.zeros((1, 10)),
    }
    for key, points in (("j", joints), ("v", mesh)):
        numbers |= {
            f"{key}_xy": (points - middle)[None, :, :2] / tall,
            f"{key}_z": points[None, :, 2:] * 32 + 32,
        }
        numbers[f"{key}_one"] = np.ones((1, len(points), 3))
    shapes = {
        "rows": [1],
        "columns": [2],
        "rows_columns": [1, 2],
        "as_points": [-1, 1, 1],
        "as_pairs": [-1, 1, 2],
        "as_line": [-1],
        "as_matrices": [-1, 1, 1, 1],
        "as_rows": [-1, 1],
    }
    model = parser.parse_model(GRAPH)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in numbers.items()
    )
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v, np.int64), k) for k, v in shapes.items()
    )
    helper.set_model_props(model, {"kind": kind, "body": made_for or body.content_hash()})
    save_model(model, path)
    return path
