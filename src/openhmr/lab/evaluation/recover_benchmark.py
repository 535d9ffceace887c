"""Errors of the image network, of Pose2Mesh on its 2D joints, and of both together, on synthetic pictures
never trained on."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.bodies.stature import stature
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.mesh import edges
from openhmr.joints import HUMAN36
from openhmr.lab.evaluation.sheets import TILES, tile, write_sheet
from openhmr.lab.metrics.errors import broken_edges, mpjpe, mpvpe, pa_mpjpe, pa_mpvpe
from openhmr.lab.synth.shards import AGAIN, ARRAYS, pictures, read_shards
from openhmr.people import People
from openhmr.predict.average import average
from openhmr.predict.detect.movenet import detect_people
from openhmr.predict.lift import Lifter
from openhmr.predict.recover import Recoverer

MIN_PERSON_PX = 16
"""People of whom less is inside the picture are left out."""
ERRORS = ("MPJPE", "PA-MPJPE", "MPVPE", "PA-MPVPE")
COLUMNS = (
    *ERRORS,
    "distance %",
    "overlay %",
    "error / sigma",
    "shape",
    "height",
    "broken %",
    "broken at worst %",
)


@dataclass(frozen=True)
class Item:
    """Picture ``number`` of a folder: ``image (H,W,3)`` RGB, its ``camera``, the person's ``box (4,)`` as a
    detector gives it (the part inside the picture), and the true ``vertices (V,3)`` in metres, camera axes,
    and ``betas (S,)``."""

    number: int
    image: NDArray[np.uint8]
    camera: Camera
    box: NDArray
    vertices: NDArray
    betas: NDArray


def items(shards: list[tuple[Path, dict[str, NDArray]]], body: Body, count: int) -> Iterator[Item]:
    """The people of the first ``count`` pictures of :func:`read_shards`. Raises :class:`InputError` for a
    damaged picture."""
    number = -1
    for shard, arrays in shards:
        with tarfile.open(shard) as tar:
            for i, member in enumerate(pictures(tar)):
                number += 1
                if number >= count:
                    return
                try:
                    image = Image.open(tar.extractfile(member), formats=("JPEG",)).convert("RGB")  # type: ignore[arg-type]
                except Exception:  # decoders fail on damaged files in every way there is
                    raise InputError(f"{shard}[{member.name}] is damaged; {AGAIN}") from None
                K, pose, betas, translation, box, _ = (arrays[name][i] for name in ARRAYS)
                inside = _inside(box, image.size)
                if inside[2:].max() < MIN_PERSON_PX:
                    continue
                vertices, _ = skin(body, pose, betas, translation)
                yield Item(number, np.asarray(image), Camera(K, image.size[::-1]), inside, vertices, betas)


def _inside(box: NDArray, size: tuple[int, int]) -> NDArray[np.float64]:
    low = np.maximum(box[:2], 0)
    high = np.minimum(box[:2] + box[2:], [size[0] - 1, size[1] - 1])
    return np.concatenate([low, np.maximum(high - low, 2)]).astype(np.float64)


def predictions(recoverer: Recoverer, lifter: Lifter, item: Item) -> dict[str, People]:
    """Method -> people for one picture with its true camera and box."""
    recovered = recoverer(item.image, item.box, item.camera)
    lifted = lifter(recovered.keypoints, recovered.camera)
    return {
        "param": recovered,
        "lixel": recovered.lixel(),
        "lift of its 2D joints": lifted,
        "param and lift averaged": average(recovered, lifted),
    }


def detected(item: Item) -> NDArray[np.float64] | None:
    """The box ``(4,)`` of whom the detector finds at the person's place, half of the longer side of their box
    from its middle at most; None if there is nobody."""
    boxes = detect_people(item.image).boxes
    assert boxes is not None
    off = np.linalg.norm(boxes[:, :2] + boxes[:, 2:] / 2 - item.box[:2] - item.box[2:] / 2, axis=1)
    near = off < item.box[2:].max() / 2
    return boxes[off.argmin()] if near.any() else None


def errors(people: People, item: Item, body: Body, whole: NDArray, pairs: NDArray) -> tuple[float, ...]:
    """The numbers of :data:`COLUMNS` but the last: the first four in millimetres; the pelvis' distance from
    the camera in per cent of the true one; the median distance between 2D joints and projected joints in per
    cent of the box height; the root mean square of vertex errors over their own standard deviations (1 if
    calibrated; nan where a method tells none); mean vertex error of the shape in its T-pose (nan without
    betas) and error of the height in mm; and the edges (``pairs`` of vertices) that are broken, against
    the skinned body ``whole (V,3)``, in per cent."""
    regressor = body.joint_regressor("human36")
    mesh, truth = 1000 * people.vertices[0].astype(np.float64), 1000 * item.vertices.astype(np.float64)
    guess, joints = regressor @ mesh, regressor @ truth
    distance = abs(np.linalg.norm(guess[0]) / np.linalg.norm(joints[0]) - 1) * 100
    overlay = float(people.reprojection_px()[0]) / item.box[3] * 100
    ratio = _over_sigma(people, item, regressor[0]) if people.sigma is not None else float("nan")
    return (
        float(mpjpe(guess, joints, HUMAN36)),
        float(pa_mpjpe(guess, joints, HUMAN36)),
        float(mpvpe(mesh, truth, body.J_regressor[0])),
        float(pa_mpvpe(mesh, truth)),
        float(distance),
        overlay,
        ratio,
        float("nan") if people.rig is None else shape_error(body, people.rig.betas[0], item.betas),
        1000 * abs(float(people.heights[0] - stature(body, item.vertices[None])[0])),
        100 * float(broken_edges(people.vertices[0], whole, pairs)),
    )


def shape_error(body: Body, betas: NDArray, truth: NDArray) -> float:
    """Mean distance of vertices in mm between two shapes in their T-pose, each about its root joint."""
    apart = body.shapedirs @ (betas - truth)
    return float(1000 * np.linalg.norm(apart - body.J_regressor[0] @ apart, axis=-1).mean())


def _over_sigma(people: People, item: Item, pelvis: NDArray) -> float:
    """Errors relative to the pelvis, in the camera's axes: those of the virtual camera differ by a few
    degrees."""
    assert people.sigma is not None
    wrong = (people.vertices[0] - pelvis @ people.vertices[0]) - (item.vertices - pelvis @ item.vertices)
    return float(np.sqrt(np.mean((wrong / people.sigma.vertices[0]) ** 2)))


def evaluate(
    recoverer: Recoverer,
    lifter: Lifter,
    folder: Path,
    count: int,
    detect: bool = False,
    sheet: Path | None = None,
) -> list[dict[str, object]]:
    """One row a method: means over the pictures; medians for distance and overlay, root mean square for the
    deviations; of broken edges the mean and the worst.

    ``detect`` adds the mesh in the box that the detector finds, in as many pictures as it does. ``sheet`` is
    where the meshes of some pictures, evenly taken, are drawn over them, from the least to the largest
    PA-MPJPE.
    """
    body, pairs = recoverer.body, edges(recoverer.body.faces)
    table: dict[str, list[tuple[float, ...]]] = {}
    tiles: list[tuple[float, NDArray[np.uint8]]] = []
    shards = read_shards(folder, body, count)
    count = min(count, sum(len(arrays["K"]) for _, arrays in shards))
    for i, item in enumerate(tqdm(items(shards, body, count), total=count, desc="pictures")):
        results = predictions(recoverer, lifter, item)
        if detect and (box := detected(item)) is not None:
            results["param, box detected"] = recoverer(item.image, box, item.camera)
        for method, result in results.items():
            whole = results["param" if result.rig is None else method].parametric().vertices[0]
            table.setdefault(method, []).append(errors(result, item, body, whole, pairs))
        if sheet is not None and i % max(1, count // TILES) == 0:
            tiles.append((table["param"][-1][1], tile(item.image, results["param"])))
    if sheet is not None:
        write_sheet([picture for _, picture in sorted(tiles, key=lambda t: t[0])][:TILES], sheet)
    rows: list[dict[str, object]] = []
    for method, numbers in table.items():
        column = np.array(numbers)
        summary = [
            *column[:, :4].mean(0),
            *np.median(column[:, 4:6], axis=0),
            np.sqrt((column[:, 6] ** 2).mean()),
            *column[:, 7:10].mean(0),
            column[:, 9].max(),
        ]
        row: dict[str, object] = {"method": method, "pictures": str(len(numbers))}
        rows.append(
            row
            | {k: round(float(v), 2) if np.isfinite(v) else "" for k, v in zip(COLUMNS, summary, strict=True)}
        )
    return rows
