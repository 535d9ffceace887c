"""Where people end and nobody begins: what the image network's signs of doubt say of pictures without people
and of people, which limits follow from one half of them, and how these err on the other half.

  python benchmarks/validate_nobody.py --backgrounds DIR --images DIR
      [--pack FILE.npz --videos DIR] [--photos DIR]

Needs panoramas and the test pictures of `openhmr lab synth images` (docs/synthetic_pictures.md); of real
people a pack of frames as `openhmr lab real` takes it; and photos without people, if there are any. Empty
boxes are random ones. Every third picture also goes through the whole pipeline, without a box."""

import argparse
import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from empty_pictures import KINDS, Image, views
from numpy.typing import NDArray
from tqdm import tqdm

import openhmr
from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.io.images import read_image
from openhmr.joints import COCO
from openhmr.lab.evaluation.real_frames import pipeline_of, read_frames, read_pack
from openhmr.lab.evaluation.recover_benchmark import items
from openhmr.lab.synth.shards import read_shards
from openhmr.people import People
from openhmr.pipeline import Picture, Pipeline
from openhmr.predict.certainty import NOBODY, UNSURE, doubt, misfit_mm, spread, uncertain_mm
from openhmr.predict.detect.movenet import detect_people
from openhmr.predict.recover import Recoverer

SIZES_PX = (90, 60, 40)
CUTS = {"knees": ("L_Knee", "R_Knee"), "hips": ("L_Hip", "R_Hip"), "chest": ("L_Elbow", "R_Elbow")}
REAL_CUTS = {"knees": 0.75, "hips": 0.55, "chest": 0.4}
"""Shares of the box that are left."""


@dataclass(frozen=True)
class Case:
    """A picture with a box, its ``kind``, and what it was made of: cases of one ``origin`` stay in one half.
    ``whole`` are people on whom limits are chosen: not cut off, of 60 pixels and more."""

    kind: str
    origin: str
    image: Image
    box: NDArray
    there: bool
    whole: bool = True


def signs(people: People) -> dict[str, float]:
    """By name, larger where the picture tells less."""
    boxes = people.keypoints.boxes
    assert boxes is not None
    numbers = {
        "doubt": doubt(people),
        "misfit mm": misfit_mm(people),
        "spread %": 100 * spread(people),
        "sigma mm": uncertain_mm(people),
        "reprojection %": 100 * people.reprojection_px() / boxes[:, 2:].max(-1),
    }
    return {name: float(value[0]) for name, value in numbers.items()}


def empty(backgrounds: Path, photos: Path | None, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Pictures without people."""
    pictures = [("place", name, image) for name, image in views(backgrounds, max(1, count // 10), rng)]
    pictures += [(kind, f"{kind}{i}", draw(rng)) for kind, draw in KINDS.items() for i in range(count)]
    for path in sorted(photos.iterdir()) if photos is not None else ():
        pictures += [("photo", path.stem, read_image(path))] * 3
    for kind, origin, image in pictures:
        yield Case(kind, origin, image, _random_box(image, rng), False)


def _random_box(image: Image, rng: np.random.Generator) -> NDArray:
    height, width = image.shape[:2]
    tall = rng.uniform(0.3, 0.95) * height
    wide = min(tall * rng.uniform(0.3, 0.9), width - 1)
    return np.array([rng.uniform(0, width - wide), rng.uniform(0, height - tall), wide, tall])


def rendered(images: Path, body: Body, count: int, first: int) -> Iterator[Case]:
    """Every third test picture from ``first``: as it is, small, and cut off."""
    regressor, names = body.joint_regressor(COCO), list(COCO.names)
    for i, item in enumerate(items(read_shards(images, 3 * count), body, 3 * count)):
        if i % 3 != first:
            continue
        yield Case("rendered", f"r{i}", item.image, item.box, True)
        yield from _small("rendered", f"r{i}", item.image, item.box)
        rows = item.camera.project(regressor @ item.vertices)[:, 1]
        x, y, width, height = item.box
        for part, joints in CUTS.items():
            end = int(np.mean([rows[names.index(j)] for j in joints]))
            if y + 40 < end < min(y + height - 5, len(item.image)):
                box = np.array([x, y, width, end - y])
                yield Case(f"rendered, cut at {part}", f"r{i}", item.image[:end].copy(), box, True, False)


def _small(kind: str, origin: str, image: Image, box: NDArray) -> Iterator[Case]:
    for size in SIZES_PX:
        if (zoom := size / box[3]) < 1:
            out = np.asarray(
                cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), np.uint8
            )
            yield Case(f"{kind}, {size} px", origin, out, box * zoom, True, size >= 60)


def real(pack: Path, videos: Path) -> Iterator[Case]:
    """Every other frame of a pack, whole, small, and cut off; origins are the cameras."""
    data = read_pack(pack, pictures=True)
    for name in dict.fromkeys(str(v) for v in data["video"]):
        chosen = np.flatnonzero(data["video"] == name)[::2]
        frames = read_frames(videos / Path(name).name, {int(f) for f in data["frame"][chosen]})
        for i in chosen:
            low, high = data["box_xyxy"][i, :2], data["box_xyxy"][i, 2:]
            image, box = frames[int(data["frame"][i])], np.concatenate([low, high - low])
            yield Case("real", name, image, box, True)
            yield from _small("real", name, image, box)
            for part, left in REAL_CUTS.items():
                short = box * [1, 1, 1, left]
                cut = image[: int(short[1] + short[3])].copy()
                yield Case(f"real, cut at {part}", name, cut, short, True, False)


class Answers(logging.Handler):
    """What the whole pipeline, as in `openhmr recover`, says of pictures: nobody, people with a warning, or
    people without a word; counted by kind, and the largest score of its detector there."""

    def __init__(self, recoverer: Recoverer) -> None:
        super().__init__(logging.WARNING)
        self.pipeline = Pipeline(recoverer, openhmr.load("pose2mesh"))
        self.counts: dict[str, list[int]] = {}
        self.scores: dict[str, float] = {}
        self._warnings = 0
        logging.getLogger("openhmr").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._warnings += 1

    def ask(self, kind: str, image: Image) -> None:
        self._warnings = 0
        people = self.pipeline.frame(Picture(image)).people
        scores = detect_people(image).scores
        assert scores is not None
        counts = self.counts.setdefault(kind, [0, 0, 0])
        counts[0 if not len(people) else 1 if self._warnings else 2] += 1
        self.scores[kind] = max(self.scores.get(kind, 0.0), *scores.tolist(), 0.0)

    def report(self) -> None:
        print("\nThe whole pipeline without a box:\n")
        _row("kind", "pictures", "nobody %", "warned of %", "silent %", "largest score")
        _row(*["---"] * 6)
        for kind, counts in self.counts.items():
            shares = (f"{100 * c / sum(counts):.1f}" for c in counts)
            _row(kind, sum(counts), *shares, f"{self.scores[kind]:.2f}")


def equal_errors(empty_values: NDArray, people: NDArray) -> float:
    """The limit at which as large a share of the empty lies below as of people above."""
    limits = np.sort(np.concatenate([empty_values, people]))
    accepted = np.searchsorted(np.sort(empty_values), limits) / len(empty_values)
    rejected = 1 - np.searchsorted(np.sort(people), limits) / len(people)
    return float(limits[np.argmin(np.abs(accepted - rejected))])


def report(cases: list[tuple[str, str, bool, bool]], table: Mapping[str, NDArray]) -> None:
    """Print both tables."""
    kinds = np.array([kind for kind, *_ in cases])
    there, whole = (np.array([case[k] for case in cases]) for k in (2, 3))
    _row(
        "kind",
        "n",
        "doubt: 1 %, median, 99 %",
        "misfit mm",
        "spread %",
        "left out %",
        "warned of %",
        "silent %",
    )
    _row(*["---"] * 8)
    for kind in dict.fromkeys(kinds.tolist()):
        own = kinds == kind
        low, middle, high = np.percentile(table["doubt"][own], (1, 50, 99))
        misfit, wide = (np.median(table[name][own]) for name in ("misfit mm", "spread %"))
        out, silent = table["doubt"][own] > NOBODY, table["doubt"][own] <= UNSURE
        shares = [f"{100 * x.mean():.1f}" for x in (out, ~out & ~silent, silent)]
        _row(kind, own.sum(), f"{low:.2f}, {middle:.2f}, {high:.2f}", f"{misfit:.0f}", f"{wide:.1f}", *shares)
    print("\nLimits from one half, errors in per cent on the other; people: whole, 60 pixels and more.\n")
    _row(
        "sign",
        "equal errors at",
        "empty below",
        "people above",
        "no empty below",
        "empty below",
        "people above",
    )
    _row(*["---"] * 7)
    half = np.array([zlib.crc32(origin.encode()) % 2 for _, origin, *_ in cases])
    for name, values in table.items():
        nobody, people = [[values[(half == h) & own] for h in (0, 1)] for own in (~there, there & whole)]
        numbers = [name]
        for limit in (equal_errors(nobody[0], people[0]), nobody[0].min()):
            errors = (100 * (nobody[1] < limit).mean(), 100 * (people[1] > limit).mean())
            numbers += [f"{limit:.2f}", *(f"{e:.1f}" for e in errors)]
        _row(*numbers)


def _row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backgrounds", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pack", type=Path, metavar="FILE.npz")
    parser.add_argument("--videos", type=Path, metavar="DIR")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos without people")
    parser.add_argument("--count", type=int, default=40, help="pictures of each drawn kind")
    parser.add_argument("--people", type=int, default=200, help="rendered people")
    parser.add_argument("--model", type=Path, help="default: the shipped weights")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    recoverer = pipeline_of("param").recoverer if args.model is None else Recoverer(args.model, open_body())
    assert recoverer is not None
    rng = np.random.default_rng(args.seed)
    sources = [
        empty(args.backgrounds, args.photos, args.count, rng),
        rendered(args.images, recoverer.body, args.people, args.seed % 3),
    ]
    if args.pack is not None:
        sources.append(real(args.pack, args.videos or args.pack.parent))
    cases, rows, answers = [], [], Answers(recoverer)
    for source in sources:
        for i, case in enumerate(tqdm(source, unit="picture", mininterval=5)):
            cases.append((case.kind, case.origin, case.there, case.whole))
            rows.append(signs(recoverer(case.image, case.box)))
            if i % 3 == 0:
                answers.ask(case.kind, case.image)
    report(cases, {name: np.array([row[name] for row in rows]) for name in rows[0]})
    answers.report()


if __name__ == "__main__":
    main()
