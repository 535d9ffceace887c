"""Options that several commands share, and what they mean."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from openhmr.arguments import regressor
from openhmr.bodies.readers import read_body
from openhmr.errors import InputError
from openhmr.joints.mano import MANO_PARENTS
from openhmr.lab.config import read_yaml
from openhmr.lab.data import regressors
from openhmr.lab.device import read_device
from openhmr.lab.training.datasets import Sources

T = TypeVar("T")
POSE2MESH_COCO = "COCO/J_regressor_coco.npy"
"""Where Pose2Mesh keeps COCO's joint regressor; it differs from I2L-MeshNet's."""


def value(read: Callable[[str], T]) -> Callable[[str], T]:
    """``read`` as the type of an argument, which keeps the sentence of its :class:`InputError`."""

    def argument(text: str) -> T:
        try:
            return read(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return argument


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        type=value(read_device),
        default="cpu",
        help="where to compute: cpu, cuda, cuda:1, mps (default: cpu)",
    )


def add_config(parser: argparse.ArgumentParser, help: str, **more: object) -> None:
    """The config's name and its overrides."""
    parser.add_argument("config", type=value(read_yaml), help=help, **more)  # type: ignore[arg-type]
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a config value"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="official configs: folder of the data sets, as officially laid out",
    )


def add_bodies(parser: argparse.ArgumentParser) -> None:
    body = value(read_body)
    parser.add_argument(
        "--body",
        type=body,
        metavar="FILE",
        help="official configs: neutral SMPL (.pkl, .npz), or MANO's right hand",
    )
    parser.add_argument(
        "--female",
        type=body,
        metavar="FILE",
        help="official configs: female SMPL, for data sets with gendered truth",
    )
    parser.add_argument("--male", type=body, metavar="FILE", help="official configs: male SMPL")
    parser.add_argument(
        "--regressor",
        type=regressor,
        action="append",
        default=[],
        metavar="NAME=FILE.npy",
        help="joint regressor human36 or coco",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(".cache"),
        metavar="DIR",
        help="where mesh graphs are kept (default: .cache)",
    )


def sources(args: argparse.Namespace, folder: Path | None, system: str) -> Sources:
    """The bodies of :func:`add_bodies`, with the joint regressors that lie in the data ``folder``, as the
    official ``system`` keeps them, or are given."""
    if args.body is None:
        raise InputError(
            "an official config needs a body model; give --body SMPL_NEUTRAL.pkl (MANO_RIGHT.pkl for hands)"
        )
    body, cache = args.body, args.cache
    if body.num_joints == len(MANO_PARENTS):
        return Sources(body, {}, folder, cache)
    files = regressors.FILES | ({"coco": POSE2MESH_COCO} if system == "pose2mesh" else {})
    found = {name: (folder or Path()) / file for name, file in files.items()}
    paths = {name: path for name, path in found.items() if path.is_file()} | dict(args.regressor)
    given = {"neutral": body, "female": args.female, "male": args.male}
    bodies = {name: regressors.add(b, **paths) for name, b in given.items() if b is not None}
    return Sources(bodies["neutral"], bodies, folder, cache)
