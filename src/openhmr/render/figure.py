"""Dressed people, ready to be drawn from any side."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.render.suit import Suit, suit_of


@dataclass(frozen=True, eq=False)
class Figure:
    """One dressed person: ``vertices (V,3)`` in metres, camera axes, their ``normals (V,3)``, the ``suit``
    and the number of the ``person``, which decides on colours."""

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    suit: Suit
    person: int

    def moved(self, R: NDArray, t: NDArray) -> "Figure":
        """Rotated by ``R (3,3)``, then shifted by ``t (3,)``."""
        rotation = R.astype(np.float32)
        vertices = self.vertices @ rotation.T + np.asarray(t, np.float32)
        return replace(self, vertices=vertices, normals=self.normals @ rotation.T)


def dress(vertices: NDArray, body: Body) -> list[Figure]:
    """People ``vertices (N,V,3)`` of one body in suits of different colours."""
    suit = suit_of(body)
    return [Figure(*suit.shape(mesh), suit, i) for i, mesh in enumerate(vertices)]
