"""``openhmr lab data`` and ``openhmr lab synth``: look at data sets, make pictures."""

import argparse
import functools
import time
from pathlib import Path
from typing import Any

from openhmr.arguments import positive
from openhmr.lab.cli.options import POSE2MESH_COCO, add_bodies, sources


def data_check(args: argparse.Namespace) -> int:
    from openhmr.lab.data.check import check

    folder = args.root.parent
    if args.body is None:
        found = check(args.name, args.root, None, {}, args.samples)
    else:
        system = "pose2mesh" if (folder / POSE2MESH_COCO).is_file() else "i2l_meshnet"
        known = sources(args, folder, system)
        found = check(args.name, args.root, known.body, known.gendered, args.samples)
    print("\n".join(found.lines))
    print(f"{args.name}: {found.problems or 'no'} problem{'s' if found.problems != 1 else ''}")
    return int(found.problems > 0)


def synth_images(args: argparse.Namespace) -> None:
    from openhmr.lab.synth.images import Task, contact_sheet, generate

    started = time.perf_counter()
    task = Task(
        args.motion,
        args.humans,
        args.backgrounds,
        args.wardrobe,
        args.out,
        args.count,
        args.split,
        args.seed,
        args.size,
        args.first_shard,
        args.more_motion,
    )
    made = generate(task, args.workers, functools.partial(print, flush=True))
    print(f"{args.out}: {made} pictures, {time.perf_counter() - started:.0f} s")
    if args.sheet:
        contact_sheet(args.out, args.sheet)


def synth_hands(args: argparse.Namespace) -> None:
    import torch

    from openhmr.bodies.shipped import open_hand
    from openhmr.lab.synth.hand_pack import load_hands
    from openhmr.lab.synth.hand_poses import AS_STORED, HandPoses, HandWidening
    from openhmr.lab.synth.hand_sheet import hand_sheet

    hand, pack = open_hand(), load_hands(args.hands, validation=args.validation)
    widening = AS_STORED if args.validation else HandWidening()
    poses = HandPoses(pack, hand, widening, torch.device("cpu"))
    rotations = poses(args.count, torch.Generator().manual_seed(args.seed))
    hand_sheet(hand, rotations.numpy(), args.sheet, upright=args.upright)
    print(f"wrote {args.sheet}: {args.count} hands")


def add_commands(commands: Any) -> None:
    data = commands.add_parser("data", help="look at a data set").add_subparsers(
        metavar="WHAT", required=True
    )
    one = data.add_parser(
        "check", help="is a copy of a data set complete and as the readers expect? exit code 1 if not"
    )
    one.add_argument(
        "name", metavar="NAME", help="Human36M, MuCo, MSCOCO, COCO, PW3D, FreiHAND, AMASS or SURREAL"
    )
    one.add_argument("root", type=Path, metavar="ROOT", help="its folder, in the official layout")
    one.add_argument(
        "--samples",
        type=positive,
        default=200,
        metavar="N",
        help="samples looked at per split (default: 200)",
    )
    add_bodies(one)
    one.set_defaults(run=data_check)
    synth = commands.add_parser("synth", help="make training data").add_subparsers(
        metavar="WHAT", required=True
    )
    _add_images(synth)
    one = synth.add_parser("hands", help="draw sampled hand poses, as the hand's network is trained on")
    one.add_argument("--hands", type=Path, required=True, metavar="PACK", help="pack of hand poses (.npz)")
    one.add_argument("--sheet", type=Path, required=True, metavar="FILE.jpg")
    one.add_argument("--count", type=positive, default=64, metavar="N")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--validation", action="store_true", help="the poses that are never trained on")
    one.add_argument("--upright", action="store_true", help="all with the palm to the camera")
    one.set_defaults(run=synth_hands)


def _add_images(synth: Any) -> None:
    one = synth.add_parser(
        "images", help="pictures of clothed people; running it again goes on (synth extra)"
    )
    one.add_argument(
        "--motion", type=Path, required=True, metavar="PACK", help="motion pack (.npz) or folder of BVH files"
    )
    one.add_argument("--more-motion", type=Path, metavar="PACK", help="a second one, also trained on")
    one.add_argument(
        "--humans", type=Path, required=True, metavar="DIR", help="skins, garments, hair, eyes, brows"
    )
    one.add_argument(
        "--backgrounds", type=Path, required=True, metavar="DIR", help="panoramas and their light.npz"
    )
    one.add_argument(
        "--wardrobe",
        type=Path,
        default=Path(".cache/wardrobe.npz"),
        metavar="FILE",
        help="clothes fitted to the body; made if missing",
    )
    one.add_argument("--out", type=Path, required=True, metavar="DIR")
    one.add_argument("--count", type=positive, default=1000, metavar="N")
    one.add_argument("--split", choices=("train", "validation", "test"), default="train")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--size", type=positive, default=320, metavar="PX")
    one.add_argument(
        "--first-shard",
        type=int,
        default=0,
        metavar="N",
        help="number of the first shard, to add to a folder",
    )
    one.add_argument("--workers", type=positive, default=1)
    one.add_argument(
        "--sheet", type=Path, metavar="FILE.jpg", help="also write a contact sheet of 64 pictures"
    )
    one.set_defaults(run=synth_images)
