"""Which joint of a BVH file is which of the motion packs, whatever program named it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from openhmr.errors import InputError

PACK_JOINTS = (
    "hip", "abdomen", "chest", "chest2", "neck", "neck1", "head",
    "rCollar", "rShldr", "rForeArm", "rHand", "lCollar", "lShldr", "lForeArm", "lHand",
    "rButtock", "rThigh", "rShin", "rFoot", "rToe", "lButtock", "lThigh", "lShin", "lFoot", "lToe",
)  # fmt: skip
PACK_PARENTS = np.array(
    [-1, 0, 1, 2, 3, 4, 5, 3, 7, 8, 9, 3, 11, 12, 13, 0, 15, 16, 17, 18, 0, 20, 21, 22, 23]
)
OPTIONAL = ("abdomen", "chest", "chest2", "neck", "neck1", "Collar", "Buttock", "Toe")
"""Pack joints (without their side) that a file may lack."""

HIP, HEAD = ("hip", "hips", "pelvis", "root"), ("head",)
SIDED: dict[str, tuple[str, ...]] = {
    "Shldr": ("shldr", "arm", "humerus", "uparm", "upperarm", "shoulder"),
    "Collar": ("collar", "clavicle", "thorax", "shoulder"),
    "ForeArm": ("forearm", "radius", "lowerarm", "lowarm", "elbow"),
    "Hand": ("hand", "wrist"),
    "Buttock": ("buttock", "hipjoint"),
    "Thigh": ("thigh", "upleg", "femur", "upperleg", "hip"),
    "Shin": ("shin", "leg", "tibia", "knee", "lowerleg"),
    "Foot": ("ankle", "foot"),
    "Toe": ("toe", "toebase", "toes", "foot"),
}
"""Pack joint (without its side) -> names that programs give it, in lower case, the surest first. Some call by
the name of a bone (arm, leg), others by that of a joint (shoulder, knee): an upper arm that has its own name
leaves "shoulder" to the collar, an ankle leaves "foot" to the toes."""


def match(names: Sequence[str], parents: Sequence[int]) -> dict[str, int]:
    """Pack joint -> index in ``names``; case, namespaces, prefixes and separators do not count.

    Raises :class:`InputError` that names the joints which the file lacks, or which lie in the wrong order.
    """
    plain = {name: i for i, name in reversed(list(enumerate(_plain(names))))}
    found: dict[str, int] = {}

    def take(joint: str, options: Sequence[str]) -> None:
        hit = next((plain[o] for o in options if o in plain and plain[o] not in found.values()), None)
        if hit is not None:
            found[joint] = hit

    take("hip", HIP)
    take("head", HEAD)
    for side, words in (("r", ("right", "r")), ("l", ("left", "l"))):
        for joint, options in SIDED.items():
            take(side + joint, [o for name in options for w in words for o in (w + name, name + w)])
    if "hip" in found and "head" in found and "rShldr" in found:
        found |= _trunk(found, names, parents)
    needed = [j for j in PACK_JOINTS if j not in OPTIONAL and j[1:] not in OPTIONAL]
    missing = [j for j in needed if j not in found]
    if missing:
        raise InputError(
            f"it has no joints for {', '.join(missing)} (it has {', '.join(names[:8])}, ..); rename them as "
            f"in CMU files"
        )
    _check_order(found, names, parents)
    return found


def _plain(names: Sequence[str]) -> list[str]:
    """Lower case, without namespace (``mixamorig:``), common prefix (``Character1_``) and separators."""
    short = [re.split(r"[:|]", name)[-1] for name in names]
    starts = Counter(m[0] for n in short if (m := re.match(r"[A-Za-z]+\d*[_.\- ](?=.)", n)))
    for start, count in starts.items():
        if 2 * count > len(short) and start[:-1].lower() not in ("left", "right", "l", "r"):
            short = [n.removeprefix(start) for n in short]
    return [re.sub(r"[_.\- ]", "", n).lower() for n in short]


def _ancestors(joint: int, parents: Sequence[int]) -> Iterator[int]:
    while (joint := int(parents[joint])) >= 0:
        yield joint


def _trunk(found: dict[str, int], names: Sequence[str], parents: Sequence[int]) -> dict[str, int]:
    """Spine and neck, by where they lie: between hip and head, below and above the arms' branch."""
    arm = set(_ancestors(found["rShldr"], parents))
    chain: list[int] = []
    for joint in _ancestors(found["head"], parents):
        if joint == found["hip"]:
            break
        chain.insert(0, joint)
    spine = [j for j in chain if j in arm and "neck" not in names[j].lower()]
    neck = [j for j in chain if j not in spine]
    if len(spine) > 3:
        spine = [spine[0], spine[len(spine) // 2], spine[-1]]
    out = dict(zip(("abdomen", "chest", "chest2"), spine, strict=False))
    return out | dict(zip(("neck", "neck1"), neck[:1] + neck[1:][-1:], strict=False))


def _check_order(found: dict[str, int], names: Sequence[str], parents: Sequence[int]) -> None:
    for k, joint in enumerate(PACK_JOINTS):
        above = int(PACK_PARENTS[k])
        while above > 0 and PACK_JOINTS[above] not in found:
            above = int(PACK_PARENTS[above])
        if joint not in found or above < 0:
            continue
        parent = found[PACK_JOINTS[above]]
        if parent not in _ancestors(found[joint], parents):
            raise InputError(
                f"its joint {names[found[joint]]!r} does not hang below {names[parent]!r}, as {joint} does "
                f"below {PACK_JOINTS[above]}; rename its joints as in CMU files"
            )
