"""Whether there is anybody at all where the image network saw a person, and how sure it is (ours)."""

import logging

import numpy as np
from numpy.typing import NDArray

from openhmr.people import People

log = logging.getLogger(__name__)

NOBODY_MM = 68.0
"""Mean distance between a recovered mesh and its own parametric body from which there is nobody, or too
little of somebody. Where the picture guides the network, both agree: whole people of 80 pixels and more reach
57 mm (119 boxes in real videos and photos, few of them different people); without anybody they drift apart:
at least 72 mm in 103 empty pictures and boxes. The limit was chosen on these pictures, none were kept back to
test it. It errs on 3 of 40 people who are 45 pixels tall, and on nine in ten of those cut off at the hips,
whose meshes are wrong by decimetres."""

UNSURE_MM = 150.0
"""Median deviation of the joints. Of people who are there 1 in 100 has more; about half of the boxes without
them have."""


def disagreement_mm(people: People) -> NDArray[np.float64]:
    """Mean distance ``(N,)`` in mm between the vertices that an image network drew and those of the body
    fitted to them; nan where no network drew any."""
    if people.lixel_vertices is None or people.rig is None:
        return np.full(len(people), np.nan)
    return 1000 * np.linalg.norm(people.lixel_vertices - people.parametric().vertices, axis=-1).mean(-1)


def is_nobody(people: People) -> NDArray[np.bool_]:
    """Which ``(N,)`` of the recovered people are not there; none, where no image network drew them."""
    return disagreement_mm(people) > NOBODY_MM


def uncertain_mm(people: People) -> NDArray[np.float64]:
    """Median standard deviation ``(N,)`` of the joints in mm; nan where the method gives none."""
    if people.sigma is None:
        return np.full(len(people), np.nan)
    return 1000 * np.median(np.linalg.norm(people.sigma.joints, axis=-1), axis=-1)


def warn_of_uncertain(people: People) -> None:
    """Log who is less certain than people usually are."""
    for i, sigma in enumerate(uncertain_mm(people)):
        if sigma > UNSURE_MM:
            log.warning(
                "person %d is uncertain by %.0f mm (median of the joints); maybe nobody is there", i, sigma
            )
