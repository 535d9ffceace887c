"""The commands of ``openhmr lab`` on official configs: names to data sets, bodies, networks and files."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openhmr.bodies.body import Body
from openhmr.bodies.readers import read_body
from openhmr.errors import InputError
from openhmr.joints.mano import MANO_PARENTS
from openhmr.lab.config import PRESETS, build, check_same_network, override, read_yaml
from openhmr.lab.data import regressors
from openhmr.lab.device import is_first, process_group, read_device
from openhmr.lab.training.i2l import I2LTraining
from openhmr.lab.training.official import Work, read_run_config, train, write_run_config
from openhmr.lab.training.official_configs import I2LConfig, Pose2MeshConfig
from openhmr.lab.training.pose2mesh import Pose2MeshTraining

Config = Pose2MeshConfig | I2LConfig
SYSTEMS: dict[str, type[Config]] = {"pose2mesh": Pose2MeshConfig, "i2l_meshnet": I2LConfig}
POSE2MESH_COCO = "COCO/J_regressor_coco.npy"
"""Where Pose2Mesh keeps COCO's joint regressor; it differs from I2L-MeshNet's."""
GROUPS = {
    "compact": "Compact models, on open data",
    "posenet": "Pose2Mesh, stage 1",
    "pose2mesh": "Pose2Mesh, stage 2",
    "i2l_lixel": "I2L-MeshNet, lixel stage",
    "i2l_param": "I2L-MeshNet, param stage",
}


def is_official(data: dict[str, Any]) -> bool:
    """Whether a config file is one of the originals' (theirs have sections in capitals, or name a stage)."""
    return "stage" in data or any(key.isupper() for key in data)


def read_config(data: dict[str, Any]) -> Config:
    return build(I2LConfig, data) if "stage" in data else build(Pose2MeshConfig, data)


def system_of(config: Config) -> str:
    return next(name for name, cls in SYSTEMS.items() if isinstance(config, cls))


def list_configs(args: argparse.Namespace) -> int:
    """Print every preset with the first line of its file, by group."""
    files = sorted(PRESETS.glob("*.yml"))
    for prefix, title in GROUPS.items():
        print(title)
        for file in files:
            if file.name.startswith(f"{prefix}_"):
                print(f"  {file.stem:48} {file.read_text().splitlines()[0].lstrip('# ')}")
    return 0


def read_bodies(args: argparse.Namespace, system: str) -> tuple[Body, dict[str, Body]]:
    """The network's body and the gendered ones, with the joint regressors that lie in the data folder or are
    given."""
    if args.body is None:
        raise InputError(
            "an official config needs a body model; give --body SMPL_NEUTRAL.pkl (MANO_RIGHT.pkl for hands)"
        )
    folder, files = (
        Path(args.data or "."),
        regressors.FILES | ({"coco": POSE2MESH_COCO} if system == "pose2mesh" else {}),
    )
    paths: dict[str, str | Path] = {
        name: folder / file for name, file in files.items() if (folder / file).is_file()
    }
    for item in args.regressor:
        name, sign, path = item.partition("=")
        if not sign:
            raise InputError(f"--regressor {item!r} has no '='; write human36=FILE.npy or coco=FILE.npy")
        paths[name] = path
    body = read_body(args.body)
    if body.num_joints == len(MANO_PARENTS):
        return body, {}
    gendered = {
        name: regressors.add(read_body(getattr(args, name)), **paths)
        for name in ("female", "male")
        if getattr(args, name)
    }
    body = regressors.add(body, **paths)
    return body, {"neutral": body, **gendered}


def training(
    config: Config, args: argparse.Namespace, with_train: bool = True
) -> Pose2MeshTraining | I2LTraining:
    """The recipe of ``config`` on the data sets below ``--data`` (none if that is not given)."""
    device = read_device(args.device)
    body, gendered = read_bodies(args, system_of(config))
    if isinstance(config, I2LConfig):
        from openhmr.lab.training.datasets import i2l_sets

        return I2LTraining(config, body, *i2l_sets(config, args.data, body, gendered, with_train), device)
    from openhmr.lab.training.datasets import pose2mesh_sets

    sets, test = pose2mesh_sets(config, args.data, body, gendered, with_train)
    return Pose2MeshTraining(config, body, sets, test, device, Path(args.cache) if args.cache else None)


def run_training(data: dict[str, Any], args: argparse.Namespace) -> int:
    """Train (or go on with) an official config; under torchrun, together with the other processes."""
    config = read_config(data)
    with process_group(args.device) as device:
        args.device = str(device)
        work = training(config, args)
        folder = Path(args.out)
        if is_first():
            facts = {"system": system_of(config), "body": work.body.content_hash()}
            check_same_network(folder, {"config": asdict(config), **facts})
            write_run_config(folder, config, facts)
        _train(work, folder)
    return 0


def _train(work: Work, folder: Path) -> None:
    waiting = train(work, folder)
    if is_first():
        print(
            f"trained {work.plan.epochs} epochs, {waiting:.0%} of the time waiting for data; weights, "
            f"curves and samples are in {folder}"
        )


def run_test(data: dict[str, Any], args: argparse.Namespace) -> int:
    """Test weights on the config's test set; print what the original prints."""
    from openhmr.lab.training.reports import report_i2l, report_pose2mesh

    config, out, truth = read_config(data), Path(args.out), args.truth and Path(args.truth)
    work = training(config, args, with_train=False)
    work.load(args.weights or _weight_path(config))
    if isinstance(work, I2LTraining):
        report = report_i2l(work, out, truth)
    else:
        report = report_pose2mesh(work, work.config.DATASET.test_list[0], out, truth)
    print(report.text, end="")
    for name, value in report.extra.items():
        print(f"{name}: {value:.3f}")
    return 0


def _weight_path(config: Config) -> str:
    path = config.weight_path if isinstance(config, I2LConfig) else config.TEST.weight_path
    if not path:
        raise InputError(
            "the config names no weights to test; add --weights with a run folder, a checkpoint or an "
            "official file"
        )
    return path


def import_weights(args: argparse.Namespace) -> int:
    """Official weights into a run folder that train, test and export take."""
    from openhmr.lab.models.checkpoint import describe_official

    found = describe_official(args.file)
    data = _guessed(found, args)
    config = read_config(data)
    work = training(
        config, argparse.Namespace(**vars(args) | {"data": None, "device": "cpu"}), with_train=False
    )
    work.load(args.file)
    folder = Path(args.out)
    write_run_config(
        folder,
        config,
        {
            "system": system_of(config),
            "body": work.body.content_hash(),
            "imported_from": Path(args.file).name,
        },
    )
    work.save(folder / "final.safetensors", found.epoch)
    print(f"wrote {folder}: {found.family}, {found.joints} joints, epoch {found.epoch}")
    return 0


def _guessed(found: Any, args: argparse.Namespace) -> dict[str, Any]:
    """The settings that a file's own tensors tell."""
    if found.family == "i2l_meshnet":
        hand = found.joints == 21
        sets: dict[str, Any] = (
            {"trainset_3d": ["FreiHAND"], "trainset_2d": [], "testset": "FreiHAND"} if hand else {}
        )
        return {
            "stage": args.stage,
            "resnet_type": found.backbone,
            "head_channels": found.width,
            **sets,
        }
    by_count = {17: "human36", 19: "coco", 24: "smpl", 21: "mano"}
    joints = args.joints or by_count.get(found.joints)
    if by_count.get(found.joints) != joints:
        raise InputError(
            f"{args.file} is for {found.joints} joints, --joints says {joints}; sets have {by_count}"
        )
    target = joints if found.family == "posenet" or joints != "coco" else "human36"
    return {
        "DATASET": {"input_joint_set": joints, "target_joint_set": target},
        "MODEL": {
            "name": "posenet" if found.family == "posenet" else "pose2mesh_net",
            "posenet_hidden": found.width,
        },
    }


def run_work(args: argparse.Namespace) -> Pose2MeshTraining | I2LTraining:
    """The network of a run folder with its weights, without data."""
    facts = read_run_config(Path(args.run_folder))
    if facts.get("system") not in SYSTEMS:
        raise InputError(
            f"{args.run_folder} is a run of system {facts.get('system')!r}; known are {', '.join(SYSTEMS)}"
        )
    config = build(SYSTEMS[facts["system"]], facts["config"])
    work = training(
        config, argparse.Namespace(**vars(args) | {"data": None, "device": "cpu"}), with_train=False
    )
    work.load(args.run_folder)
    return work


def export_weights(args: argparse.Namespace) -> int:
    """A run folder's weights in the format of the original."""
    from openhmr.lab.models.checkpoint import I2L_KEY, POSE2MESH_KEY, export_official, trained_epoch
    from openhmr.lab.training.official import weights_file

    work = run_work(args)
    key = I2L_KEY if isinstance(work, I2LTraining) else POSE2MESH_KEY
    export_official(args.out, work.network, key, trained_epoch(weights_file(args.run_folder)))
    print(f"wrote {args.out}")
    return 0


def export_onnx(args: argparse.Namespace) -> int:
    """A run folder's weights as ONNX."""
    from openhmr.lab.export.official import export_i2l, export_pose2mesh

    work = run_work(args)
    if isinstance(work, I2LTraining):
        export_i2l(work.network, work.body, Path(args.out))
    else:
        export_pose2mesh(work.network, work.body, work.joint_set, Path(args.out))
    print(f"wrote {args.out}")
    return 0


def add_body_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--body", metavar="FILE", help="official configs: neutral SMPL (.pkl, .npz), or MANO's right hand"
    )
    parser.add_argument(
        "--female", metavar="FILE", help="official configs: female SMPL, for data sets with gendered truth"
    )
    parser.add_argument("--male", metavar="FILE", help="official configs: male SMPL")
    parser.add_argument(
        "--regressor",
        action="append",
        default=[],
        metavar="NAME=FILE.npy",
        help="joint regressor human36 or coco",
    )
    parser.add_argument(
        "--cache", default=".cache", metavar="DIR", help="where mesh graphs are kept (default: .cache)"
    )


def add_commands(commands: Any) -> None:
    """``configs``, ``import`` and ``export-official``."""
    one = commands.add_parser("configs", help="list every preset with one line")
    one.set_defaults(run=list_configs)
    one = commands.add_parser("import", help="official .pth.tar weights -> run folder")
    one.add_argument("file", metavar="FILE.pth.tar")
    one.add_argument(
        "--joints",
        choices=("human36", "coco", "smpl", "mano"),
        help="Pose2Mesh: told by the file; checked if given",
    )
    one.add_argument(
        "--stage",
        choices=("lixel", "param"),
        default="param",
        help="I2L-MeshNet: what the weights were trained to",
    )
    one.add_argument("--out", required=True, metavar="RUN")
    add_body_options(one)
    one.set_defaults(run=import_weights)
    one = commands.add_parser("export-official", help="run folder -> .pth.tar as the original writes it")
    one.add_argument("run_folder", metavar="RUN")
    one.add_argument("--out", required=True, metavar="FILE.pth.tar")
    add_body_options(one)
    one.set_defaults(run=export_weights)


def resolved(args: argparse.Namespace) -> dict[str, Any]:
    """The config file of ``args`` with its ``--set`` overrides."""
    return override(read_yaml(args.config), args.set)
