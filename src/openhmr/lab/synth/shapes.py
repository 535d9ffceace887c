"""The shapes of random people: one distribution of betas, for arrays of numpy and of torch."""

from typing import Any

MOST = 2.5
"""Largest beta but the last: beyond, clothes no longer fit."""
BREASTS = (1.0, 0.4)
"""Mean and standard deviation of the last beta of the half of people who have breasts."""


def random_people(normal: Any, chance: Any) -> Any:
    """Betas ``(...,S)`` of ``normal (...,S)``, standard normal numbers, and ``chance (...)``, uniform in
    0..1, both of numpy or both of torch: normal, but for the last, which gives half of them breasts."""
    betas = normal.clip(-MOST, MOST)
    mean, deviation = BREASTS
    betas[..., -1] = (mean + deviation * betas[..., -1]).clip(min=0) * (chance < 0.5)
    return betas
