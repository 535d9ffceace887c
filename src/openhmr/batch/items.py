"""What a batch is made of: the files of a folder or of a list, or the samples of WebDataset shards."""

import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from openhmr.errors import InputError
from openhmr.io.photos import SUFFIXES
from openhmr.io.poses.pictures import natural

POSES = (".json", ".csv", ".trc", ".npy", ".npz")
MAX_BYTES = 1 << 29
"""Of a picture inside a shard."""
MAX_LIST_BYTES = 1 << 30


@dataclass(frozen=True)
class Item:
    """A picture, or a file of 2D poses of one picture: its ``key`` in the results, its ``name`` in the
    source, the file ``path`` and, if it lies in a shard, where its ``size`` bytes ``start`` there."""

    key: str
    name: str
    path: Path
    start: int = 0
    size: int = -1

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()


def list_items(source: Path) -> list[Item]:
    """Everything in ``source``: a folder of pictures and files of 2D poses (also in folders below it), a
    folder of shards, a shard (``.tar``), or a text file with a path on each line, in the order of the lines.

    Keys are names without their suffixes, or with them where two would be the same. Raises
    :class:`InputError`.
    """
    if "\0" in str(source) or not source.exists():
        raise InputError(f"{str(source)!r} does not exist; give a folder, a list of paths or a shard (.tar)")
    if source.is_dir():
        found = list(_in_folder(source))
    elif source.suffix.lower() == ".tar":
        found = list(_in_shard(source, source.name))
    elif source.suffix.lower() in (*SUFFIXES, *POSES) or not source.is_file():
        raise InputError(
            f"{source} is a single file; give a folder, a list of paths or a shard, or use `openhmr recover` "
            f"or `openhmr lift`"
        )
    else:
        found = list(_in_list(source))
    if not found:
        raise InputError(f"{source} holds no pictures and no files of 2D poses; give another source")
    return _keyed(found, source)


Found = tuple[str, Path, int, int]
"""Name in the source, file, and place and size in a shard."""


def _in_folder(folder: Path) -> Iterator[Found]:
    paths = [
        Path(root) / name
        for root, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in (*SUFFIXES, *POSES, ".tar") and not name.startswith(".")
    ]
    paths.sort(key=lambda p: [natural(part) for part in p.relative_to(folder).parts])
    shards = [p for p in paths if p.suffix.lower() == ".tar"]
    if shards and len(shards) < len(paths):
        raise InputError(f"{folder} holds shards (.tar) and other files; give a folder of one kind")
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if shards:
            yield from _in_shard(path, name)
        else:
            yield name, path, 0, path.stat().st_size


def _in_shard(path: Path, name: str) -> Iterator[Found]:
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if member.isreg() and Path(member.name).suffix.lower() in SUFFIXES:
                    if member.size > MAX_BYTES:
                        raise InputError(
                            f"{path} holds {member.name!r} of {member.size:,} bytes; pictures of at most "
                            f"{MAX_BYTES:,} are read"
                        )
                    yield f"{name}/{member.name}", path, member.offset_data, member.size
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is no readable shard ({str(error)[:80]}); give an uncompressed tar file"
        ) from None


def _in_list(path: Path) -> Iterator[Found]:
    """Paths from where the list lies, unless they are absolute; empty lines and those with ``#`` in front are
    left out. Files that do not exist are items, whose error the results tell."""
    if path.stat().st_size > MAX_LIST_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes; lists of at most {MAX_LIST_BYTES:,} are read"
        )
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise InputError(
            f"{path} is no text file with a path on each line; give a folder or a list"
        ) from None
    lines = [line for line in lines if line and not line.startswith("#")]
    strange = [line for line in lines if "\0" in line or Path(line).suffix.lower() not in (*SUFFIXES, *POSES)]
    if strange:
        raise InputError(f"{path} lists {strange[0][:80]!r}, which is no picture and no file of 2D poses")
    for line in lines:
        file = path.parent / line
        yield Path(line).as_posix(), file, 0, file.stat().st_size if file.is_file() else -1


def _keyed(found: list[Found], source: Path) -> list[Item]:
    repeated = [name for name, count in Counter(name for name, *_ in found).items() if count > 1]
    if repeated:
        raise InputError(f"{source} has {repeated[0]!r} twice; name each file once")
    for long in (False, True):
        keys = [_key(name, long) for name, *_ in found]
        if len(set(keys)) == len(keys):
            return [Item(key, *rest) for key, rest in zip(keys, found, strict=True)]
    same = next(key for key, count in Counter(keys).items() if count > 1)
    raise InputError(f"{source} has two files that would be called {same!r}; rename one")


def _key(name: str, long: bool) -> str:
    """As WebDataset has it: a path whose last part has no dot; never one that leads out of a folder."""
    path = PurePosixPath(name) if long else PurePosixPath(name).with_suffix("")
    *folders, last = [part for part in path.parts if part not in ("/", "..", ".")] or ["_"]
    return "/".join([*folders, last.replace(".", "_")])


def parts_of(items: Iterable[Item], per_part: int) -> list[list[Item]]:
    """Items in their order, ``per_part`` at once."""
    listed = list(items)
    return [listed[i : i + per_part] for i in range(0, len(listed), per_part)]
