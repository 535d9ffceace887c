"""``openhmr lab``: bake, train, test. Names to objects, nothing else."""

import argparse
import dataclasses
import functools
import json
import platform
import time
from pathlib import Path

import torch

from openhmr.arguments import Parser, positive
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab import cli_official
from openhmr.lab.config import check_same_network, read_run
from openhmr.lab.device import is_first, process_group, rank_and_world
from openhmr.lab.evaluation.real_frames import SYSTEMS
from openhmr.lab.synth.motion import TEST_SUBJECTS

EXAMPLES = """examples:
  openhmr lab bake body out/open.npz                               the open body, from anny (bake extra)
  openhmr lab synth images --motion cmu_30fps.npz --humans humans --backgrounds backgrounds --out pictures --sheet sheet.jpg
  openhmr lab data check Human36M data/Human36M --body SMPL_NEUTRAL.pkl
  openhmr lab train compact_coco --motion cmu_30fps.npz --out runs/compact_coco
  openhmr lab train compact_i2l --pictures pictures/train --validation pictures/validation --out runs/compact_i2l \\
      --set start_from=checkpoints/compact_i2l
  openhmr lab train pose2mesh_human36J_train_human36 --data data --body SMPL_NEUTRAL.pkl --out runs/pose2mesh_human36
  openhmr lab test pose2mesh_human36J_test_human36 --data data --body SMPL_NEUTRAL.pkl --weights final.pth.tar
  openhmr lab export runs/compact_coco --out weights/pose2mesh-coco.onnx
  openhmr lab test --motion cmu_30fps.npz --subjects 05,49
  openhmr lab test-recover --images pictures/test
  openhmr lab real pose2sim_single.npz --out pred.npz              then: python score.py pred.npz
  openhmr lab real pose2sim_single.npz --system lixel --videos videos --sheet sheet.jpg --out pred.npz
"""
WEIGHTS = Path(__file__).parents[1] / "assets" / "weights"


def bake_body(args: argparse.Namespace) -> int:
    from openhmr.lab.anny.body import bake

    body = bake(Path(args.out), args.population)
    sizes = {name: len(body.level(name).vertex_ids) for name in ("full", "coarse")}
    print(
        f"wrote {args.out}: {body.num_vertices} render, {sizes['full']} full, {sizes['coarse']} coarse "
        f"vertices"
    )
    return 0


def check_body(args: argparse.Namespace) -> int:
    import numpy as np

    from openhmr.lab.anny.fidelity import measure
    from openhmr.lab.synth.motion import load_motion

    body = open_body("render")
    rotations = load_motion(args.motion, open_body()).rotations
    chosen = np.random.default_rng(1).choice(len(rotations), min(args.poses, len(rotations)), replace=False)
    print(json.dumps(measure(body, rotations[chosen].astype(np.float64)), indent=1))
    return 0


def train(args: argparse.Namespace) -> int:
    from openhmr.lab.config import build, override, read_yaml

    data = override(read_yaml(args.config), args.set)
    if cli_official.is_official(data):
        return cli_official.run_training(data, args)
    data |= {k: getattr(args, k) for k in ("motion", "pictures", "validation") if getattr(args, k)}
    kind, out = data.get("recipe", "pose2mesh"), Path(args.out)
    if kind == "pose2mesh":
        from openhmr.lab.training.compact import CompactRecipe as Recipe
        from openhmr.lab.training.compact import CompactTraining as Training
        from openhmr.lab.training.compact import train as run
    elif kind == "i2l":
        from openhmr.lab.training.compact_i2l import CompactI2LRecipe as Recipe  # type: ignore[assignment]
        from openhmr.lab.training.compact_i2l import CompactI2LTraining as Training  # type: ignore[assignment]
        from openhmr.lab.training.compact_i2l import train as run  # type: ignore[assignment]
    else:
        raise InputError(f"config key recipe is {kind!r}; it must be pose2mesh or i2l")
    config = build(Recipe, data)
    with process_group(args.device) as device:
        if kind == "pose2mesh" and rank_and_world()[1] > 1:
            raise InputError("recipe pose2mesh trains in one process; start it without torchrun")
        work = Training(config, device)
        if is_first():
            check_same_network(out, dataclasses.asdict(config))
            out.mkdir(parents=True, exist_ok=True)
            settings = dataclasses.asdict(config) | {
                "torch": torch.__version__,
                "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {rank_and_world()[1]} "
                f"processes",
            }
            with atomic_path(out / "config.json") as temporary:
                temporary.write_text(json.dumps(settings, indent=1) + "\n")
        run(work, out)
        if is_first():
            with torch.no_grad():
                numbers = work.evaluate()
            print(json.dumps({k: round(v, 2) for k, v in numbers.items()}))
    return 0


def export(args: argparse.Namespace) -> int:
    config = read_run(Path(args.run_folder))
    if "system" in config:
        return cli_official.export_onnx(args)
    if config.get("recipe") == "i2l":
        from openhmr.lab.export.compact_i2l import export_run
    else:
        from openhmr.lab.export.compact_pose2mesh import export_run
    print(
        f"wrote {export_run(Path(args.run_folder), Path(args.out), args.checkpoint and Path(args.checkpoint))}"
    )
    return 0


def test(args: argparse.Namespace) -> int:
    from openhmr.lab.evaluation import lift_benchmark as bench
    from openhmr.lab.synth.motion import VALIDATION_SUBJECTS, load_motion
    from openhmr.lab.synth.pairs import Skeleton
    from openhmr.joints import get_joint_set

    if args.config is not None:
        return cli_official.run_test(cli_official.resolved(args), args)
    if args.motion is None:
        raise InputError(
            "there is nothing to test on; give --motion PACK, or an official config (see `openhmr lab "
            "configs`)"
        )
    body = open_body()
    motion, subjects = load_motion(args.motion, body), tuple(args.subjects.split(","))
    held = motion.of(subjects)
    if not len(held.rotations):
        raise InputError(
            f"{args.motion} has no frames of subjects {args.subjects}; it has "
            f"{', '.join(sorted(set(motion.subjects)))}"
        )
    skeleton, joint_set = Skeleton(body), get_joint_set(args.joints)
    predictors = {
        "openhmr compact": bench.onnx_predictor(
            Path(args.model or WEIGHTS / f"pose2mesh-{args.joints}.onnx"), body, joint_set
        )
    }
    if not args.no_baselines:
        train_set = motion.of(VALIDATION_SUBJECTS + TEST_SUBJECTS + subjects, others=True)
        if not len(train_set.rotations):
            raise InputError(
                f"{args.motion} holds only the tested subjects, so there are no poses for the baselines; "
                f"add --no-baselines"
            )
        baselines = bench.Baselines(train_set, skeleton, joint_set)
        predictors |= {"nearest training pose": baselines.nearest, "mean pose": baselines.mean_pose}
    if args.picture:
        from openhmr.lab.evaluation.cases import case_picture
        from openhmr.lab.synth.noise2d import CLEAN

        errors = case_picture(
            next(iter(predictors.values())),
            bench.recorded(held, skeleton, joint_set, CLEAN),
            body,
            Path(args.picture),
        )
        print(
            f"wrote {args.picture}: best, median, worst with {errors[0]:.0f}, {errors[1]:.0f}, "
            f"{errors[2]:.0f} mm"
        )
    rows = bench.evaluate(predictors, lambda noise: bench.recorded(held, skeleton, joint_set, noise), body)
    print(bench.write_table(rows, Path(args.out), f"lift-{args.joints}"))
    return 0


def test_recover(args: argparse.Namespace) -> int:
    import openhmr
    from openhmr.lab.evaluation.lift_benchmark import write_table
    from openhmr.lab.evaluation.recover_benchmark import evaluate
    from openhmr.predict.recover import Recoverer

    recoverer = Recoverer(args.model, open_body()) if args.model else openhmr.load("i2l-body")
    sheet = args.sheet and Path(args.sheet)
    rows = evaluate(
        recoverer, openhmr.load("pose2mesh-coco"), Path(args.images), args.count, args.search, sheet
    )
    print(write_table(rows, Path(args.out), "recover"))
    return 0


def real(args: argparse.Namespace) -> int:
    from openhmr.lab.evaluation.real_frames import predict_pack

    started = time.perf_counter()
    videos, sheet = args.videos and Path(args.videos), args.sheet and Path(args.sheet)
    items = predict_pack(Path(args.pack), Path(args.out), args.system, videos, sheet)
    print(
        f"wrote {args.out}: {items} items in {time.perf_counter() - started:.1f} s; score it with the "
        f"pack's score.py"
    )
    return 0


def synth_images(args: argparse.Namespace) -> int:
    from openhmr.lab.synth.images import Task, contact_sheet, generate

    started = time.perf_counter()
    motion, humans, backgrounds, wardrobe, out = (
        Path(p) for p in (args.motion, args.humans, args.backgrounds, args.wardrobe, args.out)
    )
    task = Task(
        motion,
        humans,
        backgrounds,
        wardrobe,
        out,
        args.count,
        args.split,
        args.seed,
        args.size,
        args.first_shard,
    )
    made = generate(task, args.workers, functools.partial(print, flush=True))
    print(f"{args.out}: {made} pictures, {time.perf_counter() - started:.0f} s")
    if args.sheet:
        contact_sheet(out, Path(args.sheet))
    return 0


def data_check(args: argparse.Namespace) -> int:
    from openhmr.lab.data.check import check

    args.data = Path(args.root).parent
    system = "pose2mesh" if (args.data / cli_official.POSE2MESH_COCO).is_file() else "i2l_meshnet"
    body, gendered = cli_official.read_bodies(args, system) if args.body else (None, {})
    found = check(args.name, args.root, body, gendered, args.samples)
    print("\n".join(found.lines))
    print(f"{args.name}: {found.problems or 'no'} problem{'s' if found.problems != 1 else ''}")
    return int(found.problems > 0)


def parser() -> Parser:
    top = Parser(prog="openhmr lab", description="The laboratory.", epilog=EXAMPLES)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    bake = commands.add_parser("bake", help="build what the package ships").add_subparsers(
        metavar="WHAT", required=True
    )
    one = bake.add_parser("body", help="the open body from anny")
    one.add_argument("out", metavar="OUT.npz")
    one.add_argument(
        "--population",
        choices=("adults", "children", "all"),
        default="adults",
        help="whose shapes the betas span",
    )
    one.set_defaults(run=bake_body)
    one = bake.add_parser("check", help="measure the open body against anny itself")
    one.add_argument("--motion", required=True, metavar="PACK")
    one.add_argument("--poses", type=positive, default=100, help="people and poses (default: 100)")
    one.set_defaults(run=check_body)
    data = commands.add_parser("data", help="look at a data set").add_subparsers(
        metavar="WHAT", required=True
    )
    one = data.add_parser(
        "check", help="is a copy of a data set complete and as the readers expect? exit code 1 if not"
    )
    one.add_argument(
        "name", metavar="NAME", help="Human36M, MuCo, MSCOCO, COCO, PW3D, FreiHAND, AMASS or SURREAL"
    )
    one.add_argument("root", metavar="ROOT", help="its folder, in the official layout")
    one.add_argument(
        "--samples",
        type=positive,
        default=200,
        metavar="N",
        help="samples looked at per split (default: 200)",
    )
    cli_official.add_body_options(one)
    one.set_defaults(run=data_check)
    synth = commands.add_parser("synth", help="make training data").add_subparsers(
        metavar="WHAT", required=True
    )
    one = synth.add_parser(
        "images", help="pictures of clothed people; running it again goes on (synth extra)"
    )
    one.add_argument(
        "--motion", required=True, metavar="PACK", help="motion pack (.npz) or folder of BVH files"
    )
    one.add_argument("--humans", required=True, metavar="DIR", help="skins, garments, hair, eyes, brows")
    one.add_argument("--backgrounds", required=True, metavar="DIR", help="panoramas and their light.npz")
    one.add_argument(
        "--wardrobe",
        default=".cache/wardrobe.npz",
        metavar="FILE",
        help="clothes fitted to the body; made if missing",
    )
    one.add_argument("--out", required=True, metavar="DIR")
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
    one.add_argument("--sheet", metavar="FILE.jpg", help="also write a contact sheet of 64 pictures")
    one.set_defaults(run=synth_images)
    one = commands.add_parser("train", help="train a model; running it again resumes")
    one.add_argument("config", help="preset name or YAML file")
    one.add_argument(
        "--data", metavar="DIR", help="official configs: folder of the data sets, as officially laid out"
    )
    cli_official.add_body_options(one)
    one.add_argument("--motion", metavar="PACK", help="motion pack (.npz) or folder of BVH files")
    one.add_argument(
        "--pictures", metavar="DIR", help="shards of `openhmr lab synth images --split train` (image network)"
    )
    one.add_argument("--validation", metavar="DIR", help="shards of --split validation (image network)")
    one.add_argument("--out", required=True, metavar="DIR", help="run folder")
    one.add_argument("--device", default="cpu")
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value"
    )
    one.set_defaults(run=train)
    cli_official.add_commands(commands)
    one = commands.add_parser("export", help="run folder -> ONNX")
    one.add_argument("run_folder", metavar="RUN")
    one.add_argument("--out", required=True, metavar="FILE.onnx")
    one.add_argument(
        "--checkpoint", metavar="DIR", help="also keep the weights here, for a later run to start from"
    )
    cli_official.add_body_options(one)
    one.set_defaults(run=export)
    one = commands.add_parser(
        "test", help="errors of an official config's weights, or of compact ones on held-out motion"
    )
    one.add_argument("config", nargs="?", help="official config; without it --motion")
    one.add_argument(
        "--data", metavar="DIR", help="official configs: folder of the data sets, as officially laid out"
    )
    one.add_argument(
        "--weights", metavar="RUN", help="official configs: run folder, checkpoint or official file"
    )
    one.add_argument(
        "--truth", metavar="DIR", help="official configs: folder of FreiHAND's published ground truth"
    )
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value"
    )
    one.add_argument("--device", default="cpu", help="official configs: where to compute")
    cli_official.add_body_options(one)
    one.add_argument("--motion", metavar="PACK")
    one.add_argument("--subjects", default=",".join(TEST_SUBJECTS))
    one.add_argument("--joints", choices=("coco", "human36"), default="coco")
    one.add_argument("--model", metavar="FILE.onnx", help="default: the shipped weights")
    one.add_argument("--no-baselines", action="store_true")
    one.add_argument(
        "--picture", metavar="FILE.png", help="also draw the best, the median and the worst of 200 poses"
    )
    one.add_argument("--out", default="out/test", metavar="DIR")
    one.set_defaults(run=test)
    one = commands.add_parser("test-recover", help="errors of the image network on synthetic pictures")
    one.add_argument(
        "--images", required=True, metavar="DIR", help="folder of `openhmr lab synth images --split test`"
    )
    one.add_argument("--count", type=positive, default=1000, metavar="N")
    one.add_argument("--model", metavar="FILE.onnx", help="default: the shipped weights")
    one.add_argument("--search", action="store_true", help="also without boxes (slow)")
    one.add_argument(
        "--sheet", metavar="FILE.jpg", help="also write overlays on 48 pictures, from the best to the worst"
    )
    one.add_argument("--out", default="out/test", metavar="DIR")
    one.set_defaults(run=test_recover)
    one = commands.add_parser("real", help="predictions for a pack of real frames with a 3D reference")
    one.add_argument("pack", metavar="PACK.npz")
    one.add_argument(
        "--system",
        choices=SYSTEMS,
        default="lift",
        help="lift: from the pack's detections; others: from --videos",
    )
    one.add_argument(
        "--videos", metavar="DIR", help="folder with the pack's videos, and others for the sheet"
    )
    one.add_argument("--sheet", metavar="FILE.jpg", help="also write overlays on 48 frames")
    one.add_argument("--out", required=True, metavar="PRED.npz")
    one.set_defaults(run=real)
    return top


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    return int(args.run(args))
