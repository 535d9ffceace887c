"""A folder of synthetic pictures: ``images-00000.tar`` (WebDataset) beside ``images-00000.npz``, and one
``annotations.json``."""

import io
import json
import math
import tarfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.joints.coco import COCO, COCO17

Row = dict[str, np.ndarray | str]
MAX_NUMBERS = 50_000_000
ARRAYS = {
    "K": (3, 3),
    "pose": (24, 3),
    "betas": (10,),
    "translation": (3,),
    "box_xywh": (4,),
    "joints_px": (19, 2),
}
"""What is read of a shard's arrays, with the shape of a row."""
AGAIN = "make the shard again with `openhmr lab synth images`"


def shard_paths(folder: Path, shard: int) -> tuple[Path, Path]:
    """Tar and array file of shard number ``shard``."""
    return folder / f"images-{shard:05d}.tar", folder / f"images-{shard:05d}.npz"


def length(folder: Path, shard: int) -> int:
    """Number of pictures of a shard, 0 if it is not there."""
    tar, npz = shard_paths(folder, shard)
    if not (tar.is_file() and npz.is_file()):
        return 0
    with np.load(npz) as arrays:
        return len(arrays["box_xywh"])


def write_shard(
    folder: Path, shard: int, first_key: int, pictures: list[bytes], rows: list[Row], body: Body
) -> None:
    """Write both files of a shard of people of ``body``; the tar appears last, so a shard with a tar is
    whole. Same content, same bytes."""
    tar_path, npz_path = shard_paths(folder, shard)
    with atomic_path(npz_path) as temporary, temporary.open("wb") as file:
        columns = {k: np.stack([np.asarray(r[k]) for r in rows]) for k in rows[0]}
        columns["body"] = np.array(body.content_hash())
        np.savez(file, **columns)  # type: ignore[arg-type]
    with atomic_path(tar_path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for i, picture in enumerate(pictures):
            member = tarfile.TarInfo(f"{first_key + i:08d}.jpg")
            member.size = len(picture)
            tar.addfile(member, io.BytesIO(picture))


def write_annotations(folder: Path, size: int) -> int:
    """``annotations.json`` in COCO's form over all complete shards; returns the number of pictures."""
    images, annotations = [], []
    for npz in sorted(folder.glob("images-*.npz")):
        tar = npz.with_suffix(".tar")
        if not tar.is_file():
            continue
        with np.load(npz) as arrays, tarfile.open(tar) as pictures:
            columns = [arrays[k] for k in ("box_xywh", "joints_px", "visible")]
            for name, box, joints, visible in zip(pictures.getnames(), *columns, strict=True):
                key, count = int(name[:8]), len(COCO17)
                inside = ((joints >= -0.5) & (joints < size - 0.5)).all(1)[:count]
                flags = np.where(inside, np.where(visible[:count], 2, 1), 0)
                keypoints = np.where(flags[:, None] > 0, np.column_stack([joints[:count].round(1), flags]), 0)
                images.append({"id": key, "file_name": f"{tar.name}/{name}", "width": size, "height": size})
                annotations.append(
                    {
                        "id": key,
                        "image_id": key,
                        "category_id": 1,
                        "bbox": box.round(1).tolist(),
                        "iscrowd": 0,
                        "area": round(float(box[2] * box[3]), 1),
                        "num_keypoints": int((flags > 0).sum()),
                        "keypoints": keypoints.reshape(-1).tolist(),
                    }
                )
    skeleton = [[a + 1, b + 1] for a, b in COCO.skeleton if max(a, b) < len(COCO17)]
    person = {"id": 1, "name": "person", "keypoints": list(COCO17), "skeleton": skeleton}
    with atomic_path(folder / "annotations.json") as temporary:
        temporary.write_text(
            json.dumps({"images": images, "annotations": annotations, "categories": [person]})
        )
    return len(images)


def read_pictures(tar_path: Path, count: int) -> list[np.ndarray]:
    """The first ``count`` pictures of a shard, RGB uint8."""
    out = []
    with tarfile.open(tar_path) as tar:
        for member in tar.getmembers()[: max(count, 0)]:
            file = tar.extractfile(member)
            assert file is not None
            image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            out.append(image[..., ::-1])
    return out


def read_shards(folder: Path, body: Body, count: float = math.inf) -> list[tuple[Path, dict[str, NDArray]]]:
    """The tar files that hold the first ``count`` pictures of a folder, each with its arrays; both are
    checked to be whole, and to show people of ``body``."""
    shards = sorted(folder.glob("images-*.tar"))
    if not shards:
        raise InputError(f"{folder} holds no shards images-*.tar; make them with `openhmr lab synth images`")
    out = []
    for shard in shards:
        if count <= 0:
            break
        arrays = read_npz(shard.with_suffix(".npz"), MAX_NUMBERS, (*ARRAYS, "body"))
        missing = [name for name in ARRAYS if name not in arrays]
        if missing:
            raise InputError(f"{shard.with_suffix('.npz')} lacks {', '.join(missing)}; {AGAIN}")
        if not body.matches(str(arrays.pop("body", ""))):
            raise InputError(f"{shard} shows people of another body, whose betas mean other shapes; {AGAIN}")
        try:
            with tarfile.open(shard) as tar:
                rows = len(pictures(tar))
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise InputError(f"{shard} is damaged ({error}); {AGAIN}") from None
        for name, shape in ARRAYS.items():
            if arrays[name].shape != (rows, *shape) or arrays[name].dtype.kind not in "fiu":
                found = arrays[name].shape
                raise InputError(
                    f"{shard} holds {rows} pictures, its {name} has shape {found}, not {(rows, *shape)}; "
                    f"{AGAIN}"
                )
        count -= rows
        out.append((shard, arrays))
    return out


def pictures(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """The members of a shard that are pictures, in order."""
    return [m for m in tar.getmembers() if m.isfile() and m.name.endswith(".jpg")]
