"""One person's body parameters over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RigPath:
    """One person in the T frames of a clip.

    ``times (T,)`` seconds, increasing; ``pose (T,J,3)`` axis-angle relative to the parent joint (root: camera
    axes), ``betas (T,S)``, ``translation (T,3)`` metres, as in :class:`~openhmr.people.Rig`. ``seen (T,)``
    marks the frames in which the person was found; in others the rest is not looked at. ``sigma (T,J)`` are
    standard deviations of the joints in metres, where they are known: only how they differ from frame to
    frame counts. Raises :class:`InputError` for arrays that do not fit together.
    """

    times: Array
    pose: Array
    betas: Array
    translation: Array
    seen: NDArray[np.bool_]
    sigma: Array | None = None

    def __post_init__(self) -> None:
        set_, count = object.__setattr__, len(self.times)
        for name in ("times", "pose", "betas", "translation"):
            set_(self, name, np.asarray(getattr(self, name), np.float64))
        set_(self, "seen", np.asarray(self.seen, bool))
        joints = self.pose.shape[1:2]
        shapes = {
            "times": (count,),
            "pose": (count, *joints, 3),
            "betas": (count, *self.betas.shape[1:2]),
            "translation": (count, 3),
            "seen": (count,),
        }
        if self.sigma is not None:
            set_(self, "sigma", np.asarray(self.sigma, np.float64))
            shapes["sigma"] = (count, *joints)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{name} of a person over time has shape {getattr(self, name).shape}; with {count} times "
                    f"it must be {shape}"
                )
        if not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
            raise InputError("times of a person's frames do not increase; give seconds, one a frame")
        if not self.seen.any():
            raise InputError("a person over time was seen in no frame; leave this person out")

    def __len__(self) -> int:
        return len(self.times)

    def weights(self) -> Array:
        """How certain every joint is in every frame ``(T,J)``: about 1, and 0 where the person was not
        seen."""
        out = np.repeat(self.seen[:, None].astype(np.float64), self.pose.shape[1], 1)
        if self.sigma is not None:
            usual = np.median(self.sigma[self.seen], axis=0)
            ratio = np.divide(usual, self.sigma, out=np.ones_like(self.sigma), where=self.sigma > 0)
            out *= np.clip(ratio**2, *_WEIGHTS)
        return out


_WEIGHTS = 0.1, 3.0
"""A frame counts at least and at most as much as so many usual ones: deviations are estimates, too."""
