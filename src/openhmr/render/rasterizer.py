"""A software rasteriser: triangle meshes to pictures with numpy alone, for machines without OpenGL."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.geometry.mesh import vertex_normals

NEAR_M = 0.05
SUPERSAMPLE = 2
MAX_FRAGMENTS = 4_000_000
"""Triangles are drawn in groups of about so many candidate pixels, to bound memory."""
CLAY = (0.60, 0.68, 0.78)
"""Plain blue-grey body colour, linear RGB-like; pictures never show anything but this over the body."""
LIGHTS = ((-0.45, -0.65, -0.60, 0.85), (0.80, -0.10, -0.55, 0.35), (0.15, -0.55, 0.85, 0.45))
"""Directions towards the lights (camera axes: y down, z forward) and their strengths: key, fill, rim."""
AMBIENT = 0.30


def rasterize(vertices: NDArray, faces: NDArray, K: NDArray, size: tuple[int, int]) -> tuple[NDArray, NDArray, NDArray]:
    """Visible surface of one mesh ``vertices (V,3)`` metres, camera axes, through ``K`` on ``size`` (height, width).

    Returns ``depth (h,w)`` (inf where nothing is), ``face (h,w)`` ids (-1) and perspective-correct ``barycentric (h,w,3)``.
    Faces seen from behind or nearer than 5 cm are not drawn.
    """
    height, width = size
    depth = np.full(height * width, np.inf)
    face_id = np.full(height * width, -1, np.int64)
    bary = np.zeros((height * width, 3))
    z = vertices[:, 2]
    safe = np.maximum(z, NEAR_M)
    x = vertices[:, 0] / safe * K[0, 0] + K[0, 2]
    y = vertices[:, 1] / safe * K[1, 1] + K[1, 2]
    tx, ty = x[faces], y[faces]
    # Twice the signed area; outward counter-clockwise triangles turn clockwise when y points down.
    area = (tx[:, 1] - tx[:, 0]) * (ty[:, 2] - ty[:, 0]) - (tx[:, 2] - tx[:, 0]) * (ty[:, 1] - ty[:, 0])
    x0 = np.clip(np.ceil(tx.min(1) - 0.5), 0, width).astype(np.int64)
    x1 = np.clip(np.floor(tx.max(1) - 0.5) + 1, 0, width).astype(np.int64)
    y0 = np.clip(np.ceil(ty.min(1) - 0.5), 0, height).astype(np.int64)
    y1 = np.clip(np.floor(ty.max(1) - 0.5) + 1, 0, height).astype(np.int64)
    boxes = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
    drawn = np.nonzero((area < 0) & (boxes > 0) & np.all(z[faces] > NEAR_M, 1))[0]
    groups = np.split(drawn, np.nonzero(np.diff(np.cumsum(boxes[drawn]) // MAX_FRAGMENTS))[0] + 1) if len(drawn) else []
    for group in groups:
        count = boxes[group]
        owner = np.repeat(group, count)
        local = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        w = (x1 - x0)[owner]
        column, row = x0[owner] + local % w, y0[owner] + local // w
        px, py = column + 0.5, row + 0.5
        weights = []
        for a, b in ((1, 2), (2, 0)):
            ax, ay, bx, by = tx[owner, a], ty[owner, a], tx[owner, b], ty[owner, b]
            weights.append(((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / area[owner])
        weights.append(1 - weights[0] - weights[1])
        inside = (weights[0] >= 0) & (weights[1] >= 0) & (weights[2] >= 0)
        owner, pixel = owner[inside], (row * width + column)[inside]
        screen = np.stack([u[inside] for u in weights], -1) / z[faces[owner]]
        point_depth = 1 / screen.sum(1)
        np.minimum.at(depth, pixel, point_depth)
        front = point_depth == depth[pixel]
        pixel, owner = pixel[front], owner[front]
        face_id[pixel] = owner
        bary[pixel] = screen[front] * point_depth[front, None]
    return depth.reshape(size), face_id.reshape(size), bary.reshape(*size, 3)


def shade(normals: NDArray, colour: NDArray) -> NDArray:
    """Colours ``(n,3)`` in 0..1 of points with unit ``normals (n,3)`` (camera axes) and base ``colour (n,3)``."""
    light = np.full(len(normals), AMBIENT)
    for *direction, strength in LIGHTS:
        unit = np.array(direction) / np.linalg.norm(direction)
        light = light + strength * np.clip(normals @ unit, 0, 1) ** 1.2
    # A darker rim gives the silhouette an edge against bright pictures.
    facing = np.clip(-normals[:, 2], 0, 1)
    light *= 0.72 + 0.28 * facing**0.6
    return np.clip(colour * light[:, None], 0, 1)


def render(
    meshes: NDArray, faces: NDArray, K: NDArray, background: NDArray, colours: NDArray | None = None, opacity: float = 1.0
) -> NDArray:
    """Paint ``meshes (N,V,3)`` (camera axes, metres) over ``background (h,w,3)`` uint8, nearest in front; returns uint8.

    ``colours (N,3)`` in 0..1, default :data:`CLAY`. Anti-aliased by supersampling.
    """
    n, count = meshes.shape[:2]
    height, width = background.shape[:2]
    size = (height * SUPERSAMPLE, width * SUPERSAMPLE)
    scaled = K.astype(np.float64).copy()
    scaled[:2] *= SUPERSAMPLE
    vertices = meshes.reshape(-1, 3).astype(np.float64)
    all_faces = (faces[None] + np.arange(n)[:, None, None] * count).reshape(-1, 3)
    _, face_id, bary = rasterize(vertices, all_faces, scaled, size)
    seen = face_id >= 0
    normals = vertex_normals(meshes.astype(np.float64), faces).reshape(-1, 3)
    corner = all_faces[face_id[seen]]
    normal = np.einsum("nk,nkc->nc", bary[seen], normals[corner])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    base = np.broadcast_to(np.array(CLAY), (n, 3)) if colours is None else colours
    layer = np.zeros((*size, 4), np.float32)
    layer[seen, :3] = shade(normal, base[face_id[seen] // len(faces)])
    layer[seen, 3] = 1
    small = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)
    alpha = small[..., 3:] * opacity
    colour = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.asarray(np.round(colour * alpha * 255 + background * (1 - alpha)), np.uint8)
