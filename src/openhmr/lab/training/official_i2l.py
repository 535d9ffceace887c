"""Recipe: the official I2L-MeshNet, both stages, on any data sets of the same items
(docs/originals/i2l_meshnet.md, "Training" and "Losses").

An item of training holds ``img (3,256,256)`` and the targets and masks by their official names; one of test
``img`` and what :class:`TestItems` needs for its errors. Epochs count from 0.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.lab.models.checkpoint import CheckpointInfo
from openhmr.lab.models.i2l_meshnet.losses import NORMAL_WEIGHT, lixel_losses, param_losses
from openhmr.lab.models.i2l_meshnet.network import I2LMeshNet, official
from openhmr.lab.models.official_files import (
    import_official_i2l,
    read_torchvision,
    trained_epoch,
)
from openhmr.lab.run_folder import weights_file
from openhmr.lab.training.batches import Batches, GroupMix, Item, ItemSet, seeded
from openhmr.lab.training.official_configs import I2LConfig
from openhmr.lab.training.official_recipe import OfficialRecipe
from openhmr.lab.training.previews import mesh_views, save_picture, write_mesh
from openhmr.lab.training.recipe import initial_weights
from openhmr.lab.training.schedule import EpochPlan

log = logging.getLogger(__name__)


class TestItems(ItemSet, Protocol):
    """A test set, which also knows what its errors are."""

    def errors(self, index: int, item: Item, prediction: dict[str, NDArray]) -> dict[str, float]:
        """Errors (mm) of one sample by ``mpjpe_lixel, pa_mpjpe_lixel, mpjpe_param, pa_mpjpe_param``; none
        where nothing is known.

        ``prediction`` holds the network's output for it: ``mesh_coord_img``, ``mesh_coord_cam`` (param stage)
        and so on.
        """
        ...


class I2LRecipe(OfficialRecipe):
    """Network, losses and errors of one official config on the given body and data sets.

    Raises :class:`InputError` where they do not go together.
    """

    network: I2LMeshNet
    test: TestItems | None

    def __init__(
        self,
        config: I2LConfig,
        body: Body,
        train_3d: Sequence[ItemSet],
        train_2d: Sequence[ItemSet],
        test: TestItems | None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(body, config.RUN, device)
        self.config, self.test, self.best = config, test, f"mpjpe_{config.stage}"
        if config.testset == "FreiHAND" and (config.trainset_3d != ("FreiHAND",) or config.trainset_2d):
            raise InputError(
                "testset FreiHAND needs trainset_3d [FreiHAND] and an empty trainset_2d: hands and bodies "
                "do not mix"
            )
        with initial_weights(config.RUN.seed):
            self.network = official(
                config.kind,
                config.stage,
                body,
                config.resnet_type,
                freeze_statistics=config.QUIRKS.freeze_statistics,
                head_channels=config.head_channels,
            )
        trained = {id(p) for p in self.network.trainable_parameters()}
        for parameter in self.network.parameters():
            parameter.requires_grad_(id(parameter) in trained)
        self.network.to(self.device)
        self.info = CheckpointInfo(
            "i2l_meshnet", config.kind, body.content_hash(), config={"backbone": config.resnet_type}
        )
        if train_3d or train_2d:
            self.batches = Batches(
                [*train_3d, *train_2d],
                GroupMix([[self.limited(len(s)) for s in group] for group in (train_3d, train_2d)]),
                config.train_batch_size,
                config.RUN.seed,
                workers=config.num_thread,
                skip_bad=config.RUN.skip_bad,
                device=self.device,
            )
            self.plan = self._plan(self.batches.per_epoch)

    @property
    def weight_path(self) -> str:
        return self.config.weight_path

    def _plan(self, per_epoch: int) -> EpochPlan:
        """The schedule, which goes on with the epoch after that of ``continue_from``, as ``--continue``
        does."""
        c = self.config
        first = trained_epoch(weights_file(c.continue_from)) + 1 if c.continue_from else 0
        decays, factor = c.lr_dec_epoch, 1 / c.lr_dec_factor
        return EpochPlan(c.end_epoch, per_epoch, c.lr, decays, factor, "adam", first, c.RUN.checkpoint_every)

    def initialise(self) -> None:
        """The weights that training begins with: another run's, or ImageNet's in the backbones."""
        c = self.config
        if c.continue_from:
            self.load(c.continue_from)
        elif c.stage == "param" and not c.QUIRKS.param_on_untrained:
            raise InputError(
                "the param stage stands on a trained lixel stage; set continue_from to its run folder or "
                "snapshot"
            )
        elif c.backbone_weights:
            state = read_torchvision(c.backbone_weights)
            self.network.pose_backbone.load_imagenet(state)
            self.network.mesh_backbone.load_imagenet(state)
        else:
            log.warning(
                "the backbones start from random weights; the original starts from ImageNet's: set "
                "backbone_weights"
            )

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The named terms of one training step; masked elements count in the means (official)."""
        batch = self.batch(step)
        with self.precision.autocast():
            out = model(batch["img"])
        out = {name: value.float() for name, value in out.items()}
        if self.config.stage == "param":
            return {name: term.mean() for name, term in param_losses(out, batch).items()}
        terms = lixel_losses(out, batch, self.faces, self.config.dataset_joint_losses)
        terms["mesh_normal"] = terms["mesh_normal"] * (self.config.normal_loss_weight / NORMAL_WEIGHT)
        return {name: term.mean() for name, term in terms.items()}

    def predictions(
        self, size: int | None = None
    ) -> Iterator[tuple[int, Item, dict[str, NDArray[np.float32]]]]:
        """Every test item in order: (index, item, the network's output for it as arrays)."""
        assert self.test is not None
        count = self.limited(len(self.test))
        size = size or self.config.test_batch_size
        self.network.eval()
        for start in range(0, count, size):
            places = range(start, min(start + size, count))
            items: list[Item] = [self.test.item(i, *seeded(0, i)) for i in places]
            images = np.stack([item["img"] for item in items]).astype(np.float32)
            with torch.no_grad():
                out = self.network(torch.from_numpy(images).to(self.device))
            arrays = {name: value.cpu().numpy() for name, value in out.items()}
            for row, index in enumerate(places):
                yield index, items[row], {name: value[row] for name, value in arrays.items()}

    def sample_errors(self) -> dict[str, NDArray]:
        """Errors of every test sample by name."""
        assert self.test is not None
        rows = [self.test.errors(index, item, out) for index, item, out in self.predictions()]
        return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}

    def errors(self) -> dict[str, float]:
        return {name: float(values.mean()) for name, values in self.sample_errors().items()}

    def save_sample(self, folder: Path, epoch: int) -> NDArray[np.uint8]:
        """Picture and mesh of the first test sample: the lixel mesh, and in the param stage the parametric
        one beside it."""
        _, _, out = next(self.predictions(1))
        # A lixel is 4 pixels wide and 1/32 of the box deep; the picture shows it as a cube.
        meshes = [out["mesh_coord_img"] - 32, *([out["mesh_coord_cam"]] if "mesh_coord_cam" in out else [])]
        scaled = [mesh / max(float(np.abs(mesh).max()), 1e-6) for mesh in meshes]
        image = mesh_views(np.stack(scaled), self.body)
        save_picture(folder, epoch, image)
        write_mesh(folder / f"epoch-{epoch:03d}.obj", meshes[-1], self.body.faces)
        return image

    def take_official(self, path: Path) -> None:
        import_official_i2l(path, self.network)
