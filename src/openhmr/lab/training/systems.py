"""The five systems that train: their configs, and a run of one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body, open_hand
from openhmr.errors import InputError
from openhmr.lab.config import build, override
from openhmr.lab.device import is_first
from openhmr.lab.run_folder import begin_run, read_run
from openhmr.lab.training import compact_hand, compact_i2l, compact_pose2mesh
from openhmr.lab.training.datasets import Sources, i2l_datasets, pose2mesh_datasets
from openhmr.lab.training.official_configs import I2LConfig, Pose2MeshConfig
from openhmr.lab.training.official_i2l import I2LRecipe
from openhmr.lab.training.official_pose2mesh import Pose2MeshRecipe
from openhmr.lab.training.recipe import Recipe
from openhmr.lab.training.trainer import train

Official = Pose2MeshRecipe | I2LRecipe


def official_recipe(
    system: str,
    config: Any,
    sources: Sources,
    device: torch.device | None = None,
    with_train: bool = False,
) -> Official:
    """An official config's network with its test set where ``sources`` have a folder, and, ``with_train``,
    its training sets. Raises :class:`InputError`."""
    if system == "i2l_meshnet":
        return I2LRecipe(config, sources.body, *i2l_datasets(config, sources, with_train), device)
    if system == "pose2mesh":
        train, test = pose2mesh_datasets(config, sources, with_train)
        return Pose2MeshRecipe(config, sources.body, train, test, device, sources.cache)
    raise InputError(f"the config is of system {system}; an official one is needed here")


Stages = Iterator[tuple[str, Recipe]]


def _official_stages(system: str) -> Callable[[Any, Sources | None, torch.device], Stages]:
    def stages(config: Any, sources: Sources | None, device: torch.device) -> Stages:
        """One: a config says which of the original's stages it is."""
        if sources is None or sources.folder is None:
            raise InputError("there is nothing to train on; give the folder of the data sets")
        yield "", official_recipe(system, config, sources, device, with_train=True)

    return stages


@dataclass(frozen=True)
class System:
    """What a config of one is, and its stages: recipes with the names of their folders in the run folder.
    They come one by one: the next when the one before is trained. ``body`` is whose network it is where no
    sources say so."""

    config: type
    stages: Callable[[Any, Sources | None, torch.device], Stages]
    body: Callable[[], Body] = open_body


SYSTEMS = {
    "compact_pose2mesh": System(compact_pose2mesh.CompactPose2MeshRun, compact_pose2mesh.stages),
    "compact_pose2mesh_hand": System(compact_hand.CompactHandRun, compact_hand.stages, open_hand),
    "compact_i2l": System(compact_i2l.CompactI2LRun, compact_i2l.stages),
    "pose2mesh": System(Pose2MeshConfig, _official_stages("pose2mesh")),
    "i2l_meshnet": System(I2LConfig, _official_stages("i2l_meshnet")),
}
"""By the names that ``config.json`` has for them."""


def read_config(data: dict[str, Any], assignments: Sequence[str] = (), **given: str) -> tuple[str, Any]:
    """System and config of a YAML file's content, changed by ``key=value`` assignments and by the ``given``
    keys: the originals' have a stage, or sections in capitals; ours name their recipe. Raises
    :class:`InputError`."""
    data = override(data, assignments) | given
    recipe = data.get("recipe", "pose2mesh")
    if "stage" in data:
        system = "i2l_meshnet"
    elif any(key.isupper() for key in data):
        system = "pose2mesh"
    elif f"compact_{recipe}" in SYSTEMS:
        system = f"compact_{recipe}"
    else:
        raise InputError(f"config key recipe is {recipe!r}; it must be pose2mesh, pose2mesh_hand or i2l")
    return system, build(SYSTEMS[system].config, data)


def run(system: str, config: Any, sources: Sources | None, device: torch.device, folder: Path) -> Recipe:
    """Train what ``config`` says in ``folder``, or go on there; official systems need ``sources``. Returns
    the last stage, whose network is trained."""
    body = SYSTEMS[system].body() if sources is None else sources.body
    for name, recipe in SYSTEMS[system].stages(config, sources, device):
        if is_first():
            begin_run(folder, system, config, body, precision=recipe.precision.name)
        train(recipe, folder / name)
    return recipe


def trained_recipe(folder: Path, sources: Sources) -> Official:
    """The network of an official run with its weights, without data. Raises :class:`InputError` where the
    folder holds no such run."""
    run = read_run(folder)
    if run.system not in ("pose2mesh", "i2l_meshnet"):
        raise InputError(f"{folder} is a run of system {run.system}; a run of an official one is needed here")
    recipe = official_recipe(run.system, build(SYSTEMS[run.system].config, run.config), sources)
    recipe.load(folder)
    return recipe
