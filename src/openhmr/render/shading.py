"""Soft studio light on plain bodies: smooth normals, three lights, ambient, shaded creases, anti-aliased
edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.render.figure import Figure
from openhmr.render.raster import Fragments

_GAMMA = 2.2
_AMBIENT_SKY, _AMBIENT_GROUND = np.array([[0.30, 0.315, 0.345], [0.15, 0.14, 0.13]], np.float32)
_LIGHTS = tuple(  # unit direction towards the light in camera axes (x right, y down, z forward), colour
    (np.array(towards, np.float32) / np.float32(np.linalg.norm(towards)), np.array(colour, np.float32))
    for towards, colour in (
        ((-0.70, -0.75, -0.55), (1.0, 0.975, 0.93)),  # key: above, left, in front
        ((0.85, -0.15, -0.45), (0.22, 0.24, 0.28)),  # fill: right
        ((0.35, -0.65, 0.80), (0.42, 0.43, 0.46)),  # rim: above and behind
    )
)
_CREASE_M, _CREASE_STRENGTH = (0.025, 0.09), (6.0, 2.4)
"""Radii over which depth is compared to its surroundings, and the darkening per metre of being deeper."""

_COARSEST = 16
"""Pixels of the picture in one of the coarsest grid's."""


def shade(fragments: Fragments, figure: Figure, K: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """sRGB colours ``(P,3)`` in 0..1 of ``fragments`` of one person, seen through ``K`` in a picture of
    ``size (height, width)``."""
    corners = figure.suit.faces.take(fragments.face, axis=0).T
    weights = np.ascontiguousarray(fragments.barycentric.T)
    edges = figure.suit.edges
    at = None if edges is None else _between(edges, corners, weights)
    albedo = figure.suit.colours(figure.person, at) ** np.float32(_GAMMA)
    normal = _unit(_between(np.ascontiguousarray(figure.normals.T), corners, weights))
    y, x = np.divmod(fragments.pixel, size[1])
    to_eye = np.stack([(K[0, 2] - x) / K[0, 0], (K[1, 2] - y) / K[1, 1], np.full(len(x), -1.0)])
    colour = _light(normal, _unit(to_eye.astype(np.float32)), albedo.T)
    colour *= _creases(y, x, fragments.depth, float(K[0, 0]))
    return np.asarray(cv2.pow(np.clip(colour, 0, 1), 1 / _GAMMA), np.float32).T


def _between(values: NDArray, corners: NDArray, weights: NDArray) -> NDArray[np.float32]:
    """``values (K,V)`` of three ``corners (3,P)`` each, mixed by ``weights (3,P)``: ``(K,P)``, whose long
    rows are several times as quick to compute with as long columns."""
    out = values.take(corners[0], axis=1) * weights[0]
    for k in (1, 2):
        out += values.take(corners[k], axis=1) * weights[k]
    return out


def _light(normal: NDArray, to_eye: NDArray, albedo: NDArray) -> NDArray[np.float32]:
    """Linear-light colours ``(3,P)`` of surfaces with unit ``normal (3,P)``, seen from the unit direction
    ``to_eye (3,P)``: hemisphere ambient, Lambert with a soft edge, a weak wide gloss and a bright outline."""
    upward = 0.5 - 0.5 * normal[1]
    light = _AMBIENT_GROUND[:, None] + (_AMBIENT_SKY - _AMBIENT_GROUND)[:, None] * upward
    gloss = np.zeros_like(upward)
    for direction, strength in _LIGHTS:
        # Wrapped by a tenth: cloth has no hard terminator.
        light += strength[:, None] * np.clip((direction @ normal + 0.1) / 1.1, 0, None)
        half = np.clip(_dot(normal, _unit(to_eye + direction[:, None])), 0, 1)
        gloss += cv2.pow(half[None], 24)[0] * (0.10 * strength.mean())
    away = 1 - np.clip(_dot(normal, to_eye), 0, 1)
    away *= away
    gloss += 0.16 * away * away * upward
    light *= albedo
    light += gloss
    return light


def _unit(x: NDArray) -> NDArray:
    return x / np.maximum(np.sqrt(_dot(x, x)), 1e-12)


def _dot(a: NDArray, b: NDArray) -> NDArray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _creases(y: NDArray, x: NDArray, depth: NDArray, focal_px: float) -> NDArray[np.float32]:
    """Darkening ``(P,)`` of one person's pixels that lie deeper than their surroundings: unsharp masking of
    the depth buffer (Luft et al. 2006), of that person alone, so that bystanders cast no halo."""
    shade = np.ones(len(depth), np.float32)
    y, x = y - y.min(), x - x.min()
    height, width = (-(-int(v.max() + 1) // _COARSEST) * _COARSEST for v in (y, x))
    plane = np.zeros((height, width, 2), np.float32)
    plane[y, x, 0], plane[y, x, 1] = depth, 1
    for radius, strength in zip(_CREASE_M, _CREASE_STRENGTH, strict=True):
        sigma = float(np.clip(radius * focal_px / np.median(depth), 1, 0.1 * max(height, width)))
        around = _blur(plane, sigma)[y, x]
        deeper = depth - around[:, 0] / np.maximum(around[:, 1], 1e-6)
        shade *= np.exp(-strength * np.clip(deeper, 0, 2 * radius))
    return shade


def _blur(plane: NDArray, sigma: float) -> NDArray:
    """Gaussian; wide ones on a coarser grid, where nobody sees the difference."""
    step = min(2 ** int(np.log2(max(1, sigma / 4))), _COARSEST)  # divides the plane: much the quickest
    if step == 1:
        return cv2.GaussianBlur(plane, (0, 0), sigma)
    height, width = plane.shape[:2]
    small = cv2.resize(plane, (width // step, height // step), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
