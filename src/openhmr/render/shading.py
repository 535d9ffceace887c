"""Soft studio light on plain bodies: smooth normals, three lights, ambient, shaded creases, anti-aliased
edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.geometry.mesh import vertex_normals
from openhmr.render.raster import Fragments, rasterise

COLOURS = (
    (0.55, 0.61, 0.68),
    (0.70, 0.58, 0.52),
    (0.55, 0.64, 0.56),
    (0.63, 0.57, 0.67),
    (0.67, 0.63, 0.50),
    (0.50, 0.64, 0.66),
)
"""Body colours (sRGB, 0..1), one a person, in turn: greys with a touch of blue, clay, sage, mauve, sand,
teal."""

SUPERSAMPLING = 2
_GAMMA = 2.2
_AMBIENT_SKY, _AMBIENT_GROUND = np.array([[0.30, 0.315, 0.345], [0.15, 0.14, 0.13]], np.float32)
_LIGHTS = (  # direction towards the light in camera axes (x right, y down, z forward), colour
    (np.array([-0.70, -0.75, -0.55]), np.array([1.0, 0.975, 0.93])),  # key: above, left, in front
    (np.array([0.85, -0.15, -0.45]), np.array([0.22, 0.24, 0.28])),  # fill: right
    (np.array([0.35, -0.65, 0.80]), np.array([0.42, 0.43, 0.46])),  # rim: above and behind
)
_CREASE_M, _CREASE_STRENGTH = (0.025, 0.09), (6.0, 2.4)
"""Radii over which depth is compared to its surroundings, and the darkening per metre of being deeper."""


def render(vertices: NDArray, faces: NDArray, K: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Picture ``(height, width, 4)`` of ``vertices (N,V,3)`` (camera axes, metres): RGB (0..1, times alpha)
    and alpha.

    All people go through one z-buffer, so that they hide each other rightly. ``K (3,3)``, ``size (height,
    width)``.
    """
    s, (n, v) = SUPERSAMPLING, vertices.shape[:2]
    big = (size[0] * s, size[1] * s)
    all_faces = (faces[None] + np.arange(n)[:, None, None] * v).reshape(-1, 3)
    flat = vertices.reshape(-1, 3).astype(np.float32)
    scaled = np.diag([s, s, 1.0]) @ K
    fragments = rasterise(flat, all_faces, scaled, big)
    normals = np.concatenate([vertex_normals(mesh, faces) for mesh in vertices]).astype(np.float32)
    person = fragments.face // len(faces)
    albedo = np.array(COLOURS, np.float32)[person % len(COLOURS)] ** _GAMMA
    colour = _light(fragments, normals[all_faces[fragments.face]], scaled, big, albedo)
    rows, columns = np.divmod(fragments.pixel, big[1])
    for i in np.unique(person):
        own = person == i
        colour[own] *= _creases(rows[own], columns[own], fragments.depth[own], scaled[0, 0])[:, None]
    picture = np.zeros((big[0] * big[1], 4), np.float32)
    picture[fragments.pixel, :3] = np.clip(colour, 0, 1) ** (1 / _GAMMA)
    picture[fragments.pixel, 3] = 1
    return np.asarray(
        cv2.resize(picture.reshape(*big, 4), (size[1], size[0]), interpolation=cv2.INTER_AREA), np.float32
    )


def _light(
    fragments: Fragments, corner_normals: NDArray, K: NDArray, size: tuple[int, int], albedo: NDArray
) -> NDArray:
    """Linear-light colours ``(P,3)``: hemisphere ambient, Lambert with a soft edge, a weak wide gloss and a
    bright outline."""
    normal = _unit(np.einsum("pcd,pc->pd", corner_normals, fragments.barycentric))
    y, x = np.divmod(fragments.pixel, size[1])
    ray = np.stack([(x + 0.5 - K[0, 2]) / K[0, 0], (y + 0.5 - K[1, 2]) / K[1, 1], np.ones(len(x))], -1)
    to_eye = -_unit(ray.astype(np.float32))
    upward = 0.5 - 0.5 * normal[:, 1:2]
    light = _AMBIENT_GROUND + (_AMBIENT_SKY - _AMBIENT_GROUND) * upward
    gloss = np.zeros(len(x), np.float32)
    for direction, strength in _LIGHTS:
        towards = (direction / np.linalg.norm(direction)).astype(np.float32)
        # Wrapped by a tenth: skin and clay have no hard terminator.
        light = light + np.clip((normal @ towards + 0.1) / 1.1, 0, None)[:, None] * strength.astype(
            np.float32
        )
        half = np.clip(_dot(normal, _unit(to_eye + towards)), 0, 1)
        gloss += half**24 * np.float32(0.10 * strength.mean())
    facing = np.clip(_dot(normal, to_eye), 0, 1)
    gloss += 0.16 * (1 - facing) ** 4 * upward[:, 0]
    return (albedo * light + gloss[:, None]).astype(np.float32)


def _unit(x: NDArray) -> NDArray:
    return x / np.maximum(np.sqrt(_dot(x, x))[..., None], 1e-12)


def _dot(a: NDArray, b: NDArray) -> NDArray:
    return np.einsum("pi,pi->p", a, b)


def _creases(y: NDArray, x: NDArray, depth: NDArray, focal_px: float) -> NDArray[np.float32]:
    """Darkening ``(P,)`` of one person's pixels that lie deeper than their surroundings: unsharp masking of
    the depth buffer (Luft et al. 2006), of that person alone, so that bystanders cast no halo."""
    shade = np.ones(len(depth), np.float32)
    y, x = y - y.min(), x - x.min()
    planes = np.zeros((2, y.max() + 1, x.max() + 1), np.float32)
    planes[0, y, x], planes[1, y, x] = depth, 1
    for radius, strength in zip(_CREASE_M, _CREASE_STRENGTH, strict=True):
        sigma = float(np.clip(radius * focal_px / np.median(depth), 1, 0.1 * max(planes.shape)))
        around, weight = (_blur(plane, sigma)[y, x] for plane in planes)
        shade *= np.exp(-strength * np.clip(depth - around / np.maximum(weight, 1e-6), 0, 2 * radius))
    return shade


def _blur(plane: NDArray, sigma: float) -> NDArray:
    """Gaussian; wide ones on a coarser grid, where nobody sees the difference."""
    step = max(1, int(sigma / 4))
    if step == 1:
        return cv2.GaussianBlur(plane, (0, 0), sigma)
    small = cv2.resize(
        plane, (-(-plane.shape[1] // step), -(-plane.shape[0] // step)), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(
        cv2.GaussianBlur(small, (0, 0), sigma / step), plane.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
