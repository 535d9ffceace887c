"""Recipe: the official Pose2Mesh, both stages, on any data sets of the same items
(docs/originals/pose2mesh.md, "Training" and "Losses").

An item of training or test holds ``pose2d (J,2)`` standardised, ``lift_pose3d (J,3)`` mm with
``lift_pose3d_valid (J,1)``, and for stage 2 ``mesh (V,3)`` m, ``reg_pose3d (Jt,3)`` mm and their ``*_valid``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints import get_joint_set
from openhmr.lab.device import rank_and_world
from openhmr.lab.metrics.errors import mean_distance, mpjpe, root_relative
from openhmr.lab.models.checkpoint import CheckpointInfo, is_official, read_checkpoint
from openhmr.lab.models.official_files import POSE2MESH_KEY, read_official, take_state
from openhmr.lab.models.pose2mesh.losses import LossConfig, coordinate_loss, pose2mesh_loss
from openhmr.lab.models.pose2mesh.network import Pose2Mesh, official
from openhmr.lab.models.pose2mesh.posenet import PoseNet
from openhmr.lab.run_folder import weights_file
from openhmr.lab.training.batches import BalancedMix, Batches, Item, ItemSet, seeded
from openhmr.lab.training.official_configs import Pose2MeshConfig
from openhmr.lab.training.official_recipe import OfficialRecipe
from openhmr.lab.training.previews import mesh_views, pose_views, save_picture, write_mesh
from openhmr.lab.training.recipe import initial_weights
from openhmr.lab.training.schedule import EpochPlan

CROP = (384, 288)


class Pose2MeshRecipe(OfficialRecipe):
    """Network, losses and errors of one official config on the given body and data sets.

    ``test`` is the first data set of the test list, prepared like the training sets. Raises
    :class:`InputError` where config, body and data do not go together.
    """

    network: PoseNet | Pose2Mesh
    best = "joint"

    def __init__(
        self,
        config: Pose2MeshConfig,
        body: Body,
        train: Sequence[ItemSet],
        test: ItemSet | None,
        device: torch.device | None = None,
        cache: Path | None = None,
    ) -> None:
        super().__init__(body, config.RUN, device)
        self.config, self.test = config, test
        self.joint_set, self.target_set = (
            get_joint_set(config.DATASET.input_joint_set),
            get_joint_set(config.DATASET.target_joint_set),
        )
        if config.MODEL.input_shape != CROP:
            raise InputError(
                f"MODEL.input_shape is {list(config.MODEL.input_shape)}; Pose2Mesh crops to {list(CROP)}"
            )
        if train:
            self._train_on(train)
        with initial_weights(config.RUN.seed):
            self.network = (
                PoseNet(self.joint_set.size, config.MODEL.posenet_hidden)
                if config.posenet_only
                else official(self.joint_set, body.faces, cache_dir=cache, hidden=config.MODEL.posenet_hidden)
            )
        self.network.to(self.device)
        self.info = checkpoint_info(config, body, self.network)
        self.regressor = np.zeros((0, 0)) if config.posenet_only else body.joint_regressor(self.target_set)
        self.regressor_tensor = torch.tensor(self.regressor, dtype=torch.float32, device=self.device)
        m = config.MODEL
        self.loss_config = LossConfig(
            m.normal_loss_weight,
            m.edge_loss_weight,
            m.joint_loss_weight,
            m.joint_loss_weight,
            config.TRAIN.edge_loss_start,
        )

    def _train_on(self, sets: Sequence[ItemSet]) -> None:
        t, run = self.config.TRAIN, self.running
        self.batches = Batches(
            sets,
            BalancedMix([self.limited(len(s)) for s in sets]),
            max(1, t.batch_size // len(sets)) * len(sets),
            run.seed,
            workers=self.config.DATASET.workers,
            shuffle=t.shuffle,
            skip_bad=run.skip_bad,
            device=self.device,
        )
        self.plan = EpochPlan(
            t.end_epoch,
            self.batches.per_epoch,
            t.lr,
            t.lr_step,
            t.lr_factor,
            t.optimizer,
            t.begin_epoch - 1,
            run.checkpoint_every,
            t.print_freq,
        )

    @property
    def weight_path(self) -> str:
        return self.config.TEST.weight_path

    def initialise(self) -> None:
        """Begin from stage 1's weights where the config says so."""
        if self.config.MODEL.posenet_pretrained:
            self.start_from_posenet(self.config.MODEL.posenet_path)

    def start_from_posenet(self, path: str | Path) -> None:
        """Put a stage 1 network (run folder, checkpoint or official file) into this stage 2 network."""
        assert isinstance(self.network, Pose2Mesh)
        file = weights_file(path)
        if is_official(file):
            state = read_official(file, POSE2MESH_KEY)
        else:
            state, info = read_checkpoint(file)
            if (info.family, info.joint_set) != ("posenet", self.joint_set.name):
                raise InputError(
                    f"{file} holds a {info.family} for {info.joint_set} joints; stage 2 needs a posenet for "
                    f"{self.joint_set.name} joints"
                )
        take_state(file, self.network.pose_lifter, state)

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The named terms of one training step."""
        batch = self.batch(step)
        # Dropout follows from the step too: a resumed run needs no random state, and every process has its
        # own.
        torch.manual_seed(int(seeded(self.running.seed, step, rank_and_world()[0])[0].randint(2**31)))
        pose2d = batch["pose2d"]
        with self.precision.autocast():
            out = model(pose2d if isinstance(self.network, Pose2Mesh) else pose2d.flatten(1))
        if not isinstance(self.network, Pose2Mesh):
            pose3d = out.float().unflatten(1, (-1, 3))
            return {"lift": coordinate_loss(pose3d, batch["lift_pose3d"], batch["lift_pose3d_valid"])}
        nodes, pose3d = out
        vertices, epoch = self.network.vertices(nodes.float()), self.plan.epoch(step) + 1
        return pose2mesh_loss(
            vertices, pose3d.float(), batch, self.faces, self.regressor_tensor, epoch, self.loss_config
        )

    def predict(self, pose2d: Tensor) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
        """Vertices ``(B,V,3)`` in millimetres (none in stage 1) and the lifted pose ``(B,J,3)`` in
        millimetres."""
        if isinstance(self.network, Pose2Mesh):
            vertices, pose3d = self.network.predict(pose2d)
            return (vertices * 1000).cpu().numpy(), pose3d.cpu().numpy()
        return None, self.network(pose2d.flatten(1)).unflatten(1, (-1, 3)).cpu().numpy()

    def predictions(
        self, size: int
    ) -> Iterator[tuple[list[Item], NDArray[np.float32] | None, NDArray[np.float32]]]:
        """Every test item in order, in batches: (list of items, vertices or None, pose)."""
        assert self.test is not None
        count = self.limited(len(self.test))
        self.network.eval()
        for start in range(0, count, size):
            items: list[Item] = [
                self.test.item(i, *seeded(0, i)) for i in range(start, min(start + size, count))
            ]
            pose2d = np.stack([item["pose2d"] for item in items]).astype(np.float32)
            with torch.no_grad():
                yield items, *self.predict(torch.from_numpy(pose2d).to(self.device))

    def errors(self) -> dict[str, float]:
        """The errors of an epoch (mm): ``joint``, and in stage 2 ``surface``, by the original's quick rules.

        Roots are row 0 of the target joints; :mod:`openhmr.lab.evaluation.official_reports` has the errors of
        the final test.
        """
        joint, surface = [], []
        for items, vertices, pose3d in self.predictions(self.config.TEST.batch_size):
            if not any(
                np.any(item["lift_pose3d_valid"]) or np.any(item.get("reg_pose3d_valid", 0)) for item in items
            ):
                # FreiHAND's test set has no truth: its error is zero, as officially.
                joint.append(np.zeros(len(items)))
                surface += [np.zeros(len(items))] * (vertices is not None)
                continue
            if vertices is None:
                joint.append(mpjpe(pose3d, np.stack([i["lift_pose3d"] for i in items]), self.joint_set))
                continue
            truth, target = (
                np.stack([i["mesh"] for i in items]) * 1000,
                np.stack([i["reg_pose3d"] for i in items]),
            )
            joints = np.matmul(self.regressor, vertices)
            joint.append(mpjpe(joints, target, self.target_set))
            surface.append(
                mean_distance(root_relative(vertices, joints[:, 0]), root_relative(truth, target[:, 0]))
            )
        return {name: self._mean(parts) for name, parts in (("joint", joint), ("surface", surface)) if parts}

    def _mean(self, batches: list[NDArray]) -> float:
        if self.config.QUIRKS.mean_of_batches:
            return float(np.mean([errors.mean() for errors in batches]))
        return float(np.concatenate(batches).mean())

    def save_sample(self, folder: Path, epoch: int) -> NDArray[np.uint8]:
        """Picture (and mesh) of the first test sample; also returned."""
        (item, *_), vertices, pose3d = next(self.predictions(1))
        if vertices is None:
            image = pose_views(np.stack([pose3d[0], item["lift_pose3d"]]), self.joint_set)
        else:
            image = mesh_views(np.stack([vertices[0] / 1000, item["mesh"]]), self.body)
        save_picture(folder, epoch, image)
        if vertices is not None:
            write_mesh(folder / f"epoch-{epoch:03d}.obj", vertices[0] / 1000, self.body.faces)
        return image

    def take_official(self, path: Path) -> None:
        take_state(path, self.network, read_official(path, POSE2MESH_KEY))


def checkpoint_info(config: Pose2MeshConfig, body: Body, network: nn.Module) -> CheckpointInfo:
    """What the checkpoints of a config belong to: stage 1 to a joint set, stage 2 to a body and its graph
    too."""
    if not isinstance(network, Pose2Mesh):
        return CheckpointInfo("posenet", config.DATASET.input_joint_set, "")
    return CheckpointInfo(
        "pose2mesh", config.DATASET.input_joint_set, body.content_hash(), network.graph.digest
    )
