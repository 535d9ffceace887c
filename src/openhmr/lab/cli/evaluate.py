"""``openhmr lab test`` and ``test-recover``: errors on held-out data."""

import argparse
from pathlib import Path
from typing import Any

from openhmr.arguments import positive
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import get_joint_set
from openhmr.lab.cli.options import add_bodies, add_config, add_data, add_device, sources
from openhmr.lab.synth.motion import TEST_SUBJECTS
from openhmr.models import available


def test(args: argparse.Namespace) -> None:
    """Errors of an official config's weights, or of a compact Pose2Mesh on recorded motion."""
    if args.config is not None:
        _test_official(args)
    elif args.hands is not None:
        _test_hands(args)
    elif args.motion is not None:
        _test_lift(args)
    else:
        raise InputError(
            "there is nothing to test on; give --motion PACK, --hands PACK, or an official config (see "
            "`openhmr lab configs`)"
        )


def _test_official(args: argparse.Namespace) -> None:
    """Test weights on the config's test set; print what the original prints."""
    from openhmr.lab.training.reports import report
    from openhmr.lab.training.systems import official_recipe, read_config

    system, config = read_config(args.config, args.set)
    recipe = official_recipe(system, config, sources(args, args.data, system), args.device)
    weights = args.weights or recipe.weight_path
    if not weights:
        raise InputError(
            "the config names no weights to test; add --weights with a run folder, a checkpoint or an "
            "official file"
        )
    recipe.load(weights)
    result = report(recipe, args.out, args.truth)
    print(result.text, end="")
    for name, value in result.extra.items():
        print(f"{name}: {value:.3f}")


def _test_hands(args: argparse.Namespace) -> None:
    from openhmr.lab.evaluation.hand_errors import evaluate
    from openhmr.lab.evaluation.lift_benchmark import write_table

    model = args.model or available().get("pose2mesh-mano")
    if model is None:
        raise InputError("no model of hands comes with openhmr; add --model FILE.onnx")
    print(write_table(evaluate(model, args.hands), args.out, "lift-mano"))


def _test_lift(args: argparse.Namespace) -> None:
    from openhmr.lab.evaluation import lift_benchmark as bench
    from openhmr.lab.synth.motion import VALIDATION_SUBJECTS, load_motion
    from openhmr.lab.synth.pairs import Skeleton

    body = open_body()
    motion, subjects = load_motion(args.motion, body), tuple(args.subjects.split(","))
    held = motion.of(subjects)
    if not len(held.rotations):
        raise InputError(
            f"{args.motion} has no frames of subjects {args.subjects}; it has "
            f"{', '.join(sorted(set(motion.subjects)))}"
        )
    skeleton, joint_set = Skeleton(body), get_joint_set(args.joints)
    predict, layout = bench.onnx_predictor(args.model or available()["pose2mesh"], body, joint_set)
    predictors = {"openhmr compact": predict}
    if not args.no_baselines:
        train_set = motion.of(VALIDATION_SUBJECTS + TEST_SUBJECTS + subjects, others=True)
        if not len(train_set.rotations):
            raise InputError(
                f"{args.motion} holds only the tested subjects, so there are no poses for the baselines; "
                f"add --no-baselines"
            )
        baselines = bench.Baselines(train_set, skeleton, layout, joint_set)
        predictors |= {"nearest training pose": baselines.nearest, "mean pose": baselines.mean_pose}
    if args.picture:
        from openhmr.lab.evaluation.cases import case_picture
        from openhmr.lab.synth.noise2d import CLEAN

        recorded = bench.recorded(held, skeleton, layout, joint_set, CLEAN)
        best, median, worst = case_picture(predictors["openhmr compact"], recorded, body, args.picture)
        print(f"wrote {args.picture}: best, median, worst with {best:.0f}, {median:.0f}, {worst:.0f} mm")
    rows = bench.evaluate(
        predictors, lambda noise: bench.recorded(held, skeleton, layout, joint_set, noise), body
    )
    print(bench.write_table(rows, args.out, f"lift-{args.joints}"))


def test_recover(args: argparse.Namespace) -> None:
    import openhmr
    from openhmr.lab.evaluation.lift_benchmark import write_table
    from openhmr.lab.evaluation.recover_benchmark import evaluate
    from openhmr.predict.recover import Recoverer

    recoverer = Recoverer(args.model, open_body()) if args.model else openhmr.load("i2l-body")
    lifter = openhmr.load("pose2mesh")
    rows = evaluate(recoverer, lifter, args.images, args.count, args.detect, args.sheet)
    print(write_table(rows, args.out, "recover"))


def add_commands(commands: Any) -> None:
    _add_test(commands)
    one = commands.add_parser("test-recover", help="errors of the image network on synthetic pictures")
    one.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of `openhmr lab synth images --split test`",
    )
    one.add_argument("--count", type=positive, default=1000, metavar="N")
    one.add_argument("--model", type=Path, metavar="FILE.onnx", help="default: the shipped weights")
    one.add_argument("--detect", action="store_true", help="also with the boxes that the detector finds")
    one.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE.jpg",
        help="also write overlays on 48 pictures, from the best to the worst",
    )
    one.add_argument("--out", type=Path, default=Path("out/test"), metavar="DIR")
    one.set_defaults(run=test_recover)


def _add_test(commands: Any) -> None:
    one = commands.add_parser(
        "test", help="errors of an official config's weights, or of compact ones on held-out motion"
    )
    add_config(one, "official config; without it --motion", nargs="?")
    add_data(one)
    one.add_argument(
        "--weights", metavar="RUN", help="official configs: run folder, checkpoint or official file"
    )
    one.add_argument(
        "--truth",
        type=Path,
        metavar="DIR",
        help="official configs: folder of FreiHAND's published ground truth",
    )
    add_device(one)
    add_bodies(one)
    one.add_argument("--motion", metavar="PACK")
    one.add_argument(
        "--hands", metavar="PACK", help="hand poses: errors of the hand's network on those kept apart"
    )
    one.add_argument("--subjects", default=",".join(TEST_SUBJECTS))
    one.add_argument("--joints", default="coco", metavar="SET", help="skeleton of the 2D poses")
    one.add_argument("--model", type=Path, metavar="FILE.onnx", help="default: the shipped weights")
    one.add_argument("--no-baselines", action="store_true")
    one.add_argument(
        "--picture",
        type=Path,
        metavar="FILE.png",
        help="also draw the best, the median and the worst of 200 poses",
    )
    one.add_argument("--out", type=Path, default=Path("out/test"), metavar="DIR")
    one.set_defaults(run=test)
