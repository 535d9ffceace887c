"""Which picture of a file of 2D poses is meant, by its name, its id, or the number in its name; and the order
of pictures."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from openhmr.errors import InputError

MOST_MISSING = 10
"""Numbers of pictures are those of frames if they span less than so many times their count."""

Id = str | None
"""The id of a picture in a file; None where the file names none."""


def choose(
    ids: Sequence[Id], names: Mapping[str, str], image: str | None, image_id: str | None, path: Path
) -> Id:
    """The one of ``ids`` that ``image_id``, an id or a file name, or ``image``, a path, means; the only one
    where there is one. ``names`` are the pictures' file names by their ids. Raises :class:`InputError`.
    """
    if image_id is not None:
        found = _of_id(image_id, ids, names)
        if len(found) != 1:
            raise InputError(
                f"{path} has {len(found) or 'no'} pictures of the id {image_id!r}; give another "
                f"one{_some(ids)}"
            )
        return found[0]
    if len(ids) < 2:
        return ids[0] if ids else None
    if image is None:
        raise InputError(
            f"{path} holds people of several images and no image was given; pass the image, named as there, "
            f"or its id, to choose one{_some(ids)}"
        )
    found = _of_image(image, ids, names)
    if len(found) != 1:
        several = f"{len(found)} of them are called" if found else "none of them is"
        raise InputError(
            f"{path} holds people of several images and {several} {image}; pass the image, named as there, "
            f"or its id, to choose one{_some(ids)}"
        )
    return found[0]


def in_order(names: Sequence[str]) -> list[int]:
    """The places of ``names`` in their order: as numbers if all are some, else as words whose numbers count,
    ``a2`` before ``a10``."""
    try:
        values = [float(name) for name in names]
    except ValueError:
        values = [math.nan]
    if all(map(math.isfinite, values)):
        return sorted(range(len(names)), key=lambda i: values[i])
    return sorted(range(len(names)), key=lambda i: natural(names[i]))


def natural(name: str) -> list[int | str]:
    """What to sort a name by, so that the numbers in it count."""
    return [int(s) if s.isdecimal() else s for s in re.split(r"(\d{1,18})", name)]


def _some(ids: Sequence[Id]) -> str:
    known = [repr(i) for i in ids if i is not None]
    return f" (there are {', '.join(known[:4])}{' ...' if len(known) > 4 else ''})" if known else ""


def _of_id(image_id: str, ids: Sequence[Id], names: Mapping[str, str]) -> list[Id]:
    if image_id in ids:
        return [image_id]
    known = [i for i in ids if i is not None]
    named = matching(image_id, [names[i] for i in known if i in names])
    same = [i for i in known if names.get(i) in named] if named else matching(image_id, known)
    if not same and image_id.isdecimal():  # frame 12 of frame_000012
        same = [i for i in known if i not in names and number_of(i) == int(image_id)]
    return list[Id](same)


def _of_image(image: str, ids: Sequence[Id], names: Mapping[str, str]) -> list[Id]:
    """By the names of pictures where there are any, else by ids that are names, or numbers that end its name
    (COCO's own file names are ids with leading zeros)."""
    known = [i for i in ids if i is not None]
    if names:
        found = matching(image, list(names.values()))
        return [i for i in known if names.get(i) in found]
    same, number = matching(image, known), number_of(parts(image)[-1])
    if same or number is None:
        return list[Id](same)
    return [i for i in known if i.isdecimal() and int(i) == number]


def number_of(name: str) -> int | None:
    """The number that a file's name ends with."""
    found = re.search(r"(\d{1,18})$", re.sub(r"\.[^.]*$", "", name))
    return None if found is None else int(found.group(1))


def parts(name: str) -> list[str]:
    """Folders and file name of a path of any system."""
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def matching(wanted: str, names: Sequence[str]) -> list[str]:
    """The names that agree with ``wanted`` in the most path parts from the end, as far as the shorter
    goes."""
    own, best, out = parts(wanted), 0, list[str]()
    for name in dict.fromkeys(names):
        other = parts(name)
        common = min(len(own), len(other))
        if own[-common:] == other[-common:] and common >= best:
            out = [*out, name] if common == best else [name]
            best = common
    return out


def frame_numbers(ids: Sequence[Id]) -> dict[Id, int]:
    """The number of the frame, from 0, of each of the different ``ids`` of a sequence: by the numbers that
    they end with, if all have one and few are missing in between, else in their order."""
    numbers = [None if i is None else number_of(parts(i)[-1]) for i in ids]
    known = [n for n in numbers if n is not None]
    if len(set(known)) == len(ids) and max(known) - min(known) < MOST_MISSING * len(ids):
        return {i: n - min(known) for n, i in sorted(zip(known, ids, strict=True))}
    return {i: place for place, i in enumerate(ids)}
