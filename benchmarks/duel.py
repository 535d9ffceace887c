"""Same-data duels: the official form of each system (its widths, losses, optimiser and schedule, shortened to
the budget) against our compact one, trained on the same open pairs or crops in the same order and measured
alike on held-out subjects.

    python benchmarks/duel.py pose2mesh cmu_30fps.npz --out runs/duel/pose2mesh
    python benchmarks/duel.py i2l pictures/train pictures/test --out runs/duel/i2l

``--steps`` is the budget, in batches of both. Called again it goes on where it stopped. ``core s`` is the
processor time of training. The table is printed, and written beside the runs as JSON and CSV.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.joints import COCO, HUMAN36
from openhmr.lab.evaluation import lift_benchmark as bench
from openhmr.lab.evaluation.mesh_errors import ExactMesh
from openhmr.lab.export.compact_pose2mesh import export
from openhmr.lab.export.official_pose2mesh import export_pose2mesh
from openhmr.lab.metrics.errors import mean_distance, mpjpe, pa_mpjpe, root_relative
from openhmr.lab.models.i2l_meshnet.losses import lixel_losses
from openhmr.lab.models.i2l_meshnet.network import I2LMeshNet, Kind
from openhmr.lab.models.pose2mesh.losses import LossConfig, coordinate_loss, pose2mesh_loss
from openhmr.lab.models.pose2mesh.network import official
from openhmr.lab.synth.crops import LIXELS, CropBatch
from openhmr.lab.synth.motion import TEST_SUBJECTS, load_motion
from openhmr.lab.synth.noise2d import TRAINING, NoiseLevel
from openhmr.lab.synth.pairs import Batch, Skeleton
from openhmr.lab.training.compact_i2l import CompactI2LRecipe, CompactI2LRun
from openhmr.lab.training.compact_i2l_losses import restore
from openhmr.lab.training.compact_pose2mesh import (
    CompactPose2MeshRun,
    CompactPose2MeshTraining,
    RefinedStage,
    SkinnedStage,
)
from openhmr.lab.training.recipe import Recipe, Running
from openhmr.lab.training.schedule import EpochPlan, Schedule
from openhmr.lab.training.trainer import train
from tests.twins import PlainPose2Mesh

SEED = 1
CPU = torch.device("cpu")
NOISE = replace(TRAINING, missing=0, hide=0.0, truncate=0.0)
"""All joints are there: the original knows no missing ones."""
TESTS = {"true 2D": NoiseLevel(), "noisy 2D, 0.3 of it": NoiseLevel(share=1.0, strength=(0.3, 0.3))}
TEST_POSES = 1024


class Timed(Recipe):
    """A recipe whose evaluation is the processor seconds since the last one, for ``metrics.jsonl``."""

    last = 0.0

    def initialise(self) -> None:
        self.last = time.process_time()

    def evaluate(self) -> dict[str, float]:
        before, self.last = self.last or time.process_time(), time.process_time()
        return {"core_seconds": self.last - before}


class Rival(Timed):
    """The official form of a network on the data of a compact one; ``terms`` are its losses."""

    def __init__(
        self,
        network: nn.Module,
        plan: EpochPlan,
        seed: int,
        terms: Callable[[int, torch.Generator], dict[str, Tensor]],
    ) -> None:
        self.network, self.plan, self.running, self.terms = network, plan, Running(seed), terms

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return self.terms(step, generator)


class TimedSkinned(Timed, SkinnedStage):
    pass


class TimedRefined(Timed, RefinedStage):
    pass


class TimedI2L(Timed, CompactI2LRecipe):
    pass


def core_seconds(folder: Path) -> float:
    rows = [
        json.loads(line) for file in folder.rglob("metrics.jsonl") for line in file.read_text().splitlines()
    ]
    return sum(row["core_seconds"] for row in rows)


def short(epochs: int, steps: int, lr: float, decays: tuple[int, ...], optimiser: str) -> EpochPlan:
    """The official epochs, each shortened so that they make ``steps`` steps in all."""
    per_epoch = max(1, steps // epochs)
    return EpochPlan(epochs, per_epoch, lr, decays, 0.1, optimiser, saves=max(100, per_epoch))


def cost(network: torch.nn.Module, run: Callable[[], object]) -> dict[str, object]:
    """Parameters, and the operations of the dense products and convolutions of ``run``."""
    # With gradients on the networks take no kernels of their own, which would not be counted.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        run()
    parameters = sum(p.numel() for p in network.parameters())
    return {"M parameters": round(parameters / 1e6, 1), "GFLOP": round(counter.get_total_flops() / 1e9, 3)}


def median_ms(run: Callable[[], object], repeats: int = 31) -> float:
    times = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return round(1000 * float(np.median(times)), 2)


# Pose2Mesh


def standardised(pose2d: Tensor) -> Tensor:
    """The original's input ``(B,J,2)``: each axis by itself."""
    xy = pose2d[..., :2]
    return (xy - xy.mean(1, keepdim=True)) / xy.std(1, keepdim=True, correction=0)


class OfficialPose2Mesh:
    """PoseNet, then all of Pose2Mesh, on the pairs that a :class:`CompactPose2MeshTraining` draws."""

    def __init__(
        self, work: CompactPose2MeshTraining, level: str, steps: tuple[int, int], batch: int
    ) -> None:
        self.work, self.batch = work, batch
        whole = open_body()
        self.body: Body = whole.at_level("coarse") if level == "coarse" else whole
        self.exact = None if level == "coarse" else ExactMesh(whole)
        torch.manual_seed(SEED)
        self.network = official(COCO, self.body.faces, cache_dir=".cache")
        # The official presets posenet_ and pose2mesh_cocoJ_train_human36_coco_muco.
        self.plans = short(30, steps[0], 1e-3, (20,), "rmsprop"), short(15, steps[1], 1e-3, (12,), "rmsprop")
        self.faces = torch.as_tensor(self.body.faces.astype(np.int64))
        self.regressor = torch.tensor(self.body.joint_regressor("human36"))

    def draw(self, generator: torch.Generator) -> tuple[Batch, Tensor]:
        pairs = self.work.source(self.batch, generator)
        # The 3D pose is relative to the middle of the hips, as officially.
        return pairs, (pairs.pose3d - pairs.pose3d[:, COCO.root, None]) * 1000

    def stage1(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        pairs, lift = self.draw(generator)
        pose3d = self.network.pose_lifter(standardised(pairs.pose2d).flatten(1)).unflatten(1, (-1, 3))
        return {"lift": coordinate_loss(pose3d, lift, torch.ones_like(lift[..., :1]))}

    def stage2(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        pairs, lift = self.draw(generator)
        nodes, pose3d = self.network(standardised(pairs.pose2d))
        where = pairs.rotations, pairs.translations, pairs.betas
        mesh = self.work.source.skeleton.vertices(*where) if self.exact is None else self.exact(*where).mT
        target = {"mesh": mesh, "reg_pose3d": pairs.joints * 1000, "lift_pose3d": lift}
        target |= {f"{k}_valid": torch.ones_like(v[..., :1]) for k, v in list(target.items())}
        epoch = self.plans[1].epoch(step) + 1
        return pose2mesh_loss(
            self.network.vertices(nodes), pose3d, target, self.faces, self.regressor, epoch, LossConfig()
        )

    def train(self, folder: Path) -> None:
        lifter, network = self.network.pose_lifter, self.network
        for i, (part, loss) in enumerate(((lifter, self.stage1), (network, self.stage2))):
            train(Rival(part, self.plans[i], SEED + i, loss), folder / f"stage{i + 1}")
        self.network.eval()


def compact_pose2mesh(
    args: argparse.Namespace, folder: Path, steps: tuple[int, int], batch: int
) -> CompactPose2MeshTraining:
    """Set up, and trained if ``steps`` are any."""
    one, two = (
        Schedule(
            n, batch, lr, max(1, n // 20), evaluate_every=max(1, n // 10), checkpoint_every=max(1, n // 2)
        )
        for n, lr in zip(steps, (1e-3, 3e-4), strict=True)
    )
    config = CompactPose2MeshRun("coco", args.motion, seed=SEED, noise=NOISE, stage1=one, stage2=two)
    work = CompactPose2MeshTraining(config, CPU)
    train(TimedSkinned(work), folder / "stage1")
    work.network.pose_net.requires_grad_(False)
    train(TimedRefined(work), folder / "stage2")
    return work


def pose2mesh(args: argparse.Namespace, out: Path) -> list[dict[str, object]]:
    body, steps = open_body(), (args.steps[0], args.steps[1])
    methods: dict[str, tuple[dict[str, object], Path]] = {}
    runs = {"compact": (steps, args.batch)} | (
        {"compact, more pairs": ((args.more, args.more // 10), 512)} if args.more else {}
    )
    for name, (budget, batch) in runs.items():
        folder = out / name.replace(", ", "_").replace(" ", "_")
        work = compact_pose2mesh(args, folder, budget, batch)
        export(work.network, body, COCO, folder / "net.onnx", {})
        facts = {"pairs": sum(budget) * batch, "core s": round(core_seconds(folder))}
        methods[f"openhmr {name}"] = (
            facts | cost(work.network, lambda net=work.network: net(torch.rand(1, 19, 3))),
            folder / "net.onnx",
        )
    rival = OfficialPose2Mesh(work, args.level, steps, args.batch)
    rival.train(out / "official")
    export_pose2mesh(rival.network, rival.body, COCO, out / "official" / "net.onnx")
    facts = {
        "pairs": sum(p.steps for p in rival.plans) * args.batch,
        "core s": round(core_seconds(out / "official")),
    }
    plain = PlainPose2Mesh(rival.network.graph).eval()
    facts |= cost(plain, lambda: plain(torch.rand(1, 19, 2)))
    methods["official form"] = facts, out / "official" / "net.onnx"
    bodies = {"official form": rival.body}
    predictors = {
        name: bench.onnx_predictor(path, bodies.get(name, body), COCO)[0]
        for name, (_, path) in methods.items()
    }
    single = Batch(torch.rand(1, 19, 3), *[torch.zeros(0)] * 6)
    speed = {name: median_ms(lambda p=predict: p(single)) for name, predict in predictors.items()}
    held, skeleton = load_motion(args.motion, body).of(TEST_SUBJECTS), Skeleton(body)
    rows = bench.evaluate(
        predictors, lambda noise: bench.recorded(held, skeleton, COCO, COCO, noise), body, TESTS, TEST_POSES
    )
    return [
        {"method": r["method"], **methods[str(r["method"])][0], "ms a lift": speed[str(r["method"])], **r}
        for r in rows
    ]


# I2L-MeshNet


class OfficialI2L:
    """The lixel stage on ResNet-18s, on the crops that a :class:`CompactI2LRecipe` draws."""

    def __init__(self, work: CompactI2LRecipe, steps: int) -> None:
        self.work, body = work, open_body().at_level("coarse")
        torch.manual_seed(SEED)
        regressor = work.losses.regressor[HUMAN36.size :].numpy()
        self.network = I2LMeshNet(Kind(lambda _: regressor, 1.0), "lixel", body, 18)
        for parameter in self.network.param_regressor.parameters():
            parameter.requires_grad_(False)
        self.plan = short(13, steps, 1e-4, (10, 12), "adam")
        self.faces = torch.as_tensor(body.faces.astype(np.int64))

    def loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """All seven terms; the pictures' joints are both the data set's own and the fit's."""
        batch = self.work.batch(step)

        def inside(x):
            return ((x >= 0) & (x < LIXELS)).all(-1, keepdim=True).float()

        ones, seen = torch.ones(len(batch.image)), inside(batch.joints)
        target = {
            "fit_joint_img": batch.joints,
            "orig_joint_img": batch.joints,
            "fit_mesh_img": batch.vertices,
            "fit_joint_trunc": seen,
            "orig_joint_trunc": seen,
            "fit_mesh_trunc": inside(batch.vertices),
            "is_valid_fit": ones,
            "is_3D": ones,
        }
        return {
            name: term.mean()
            for name, term in lixel_losses(self.network(batch.image), target, self.faces).items()
        }

    def train(self, folder: Path) -> None:
        train(Rival(self.network, self.plan, SEED, self.loss), folder)


def recovered(work: CompactI2LRecipe, lixels: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Errors (mm) of the lixel mesh on the held-out crops, at the true distance (the original has
    RootNet's)."""
    held, parts = work.held, []
    with torch.no_grad():
        for i in range(0, len(held.image), 25):
            part = CropBatch(**{k: v[i : i + 25] for k, v in vars(held).items()})
            parts.append(restore(lixels(part.image), part.scale_m, part))
    mesh, truth = (1000 * x.numpy() for x in (torch.cat(parts), held.points_m))
    joints, target = (work.losses.human36.numpy() @ x for x in (mesh, truth))
    vertex = mean_distance(root_relative(mesh, joints[:, 0]), root_relative(truth, target[:, 0]))
    errors = {
        "MPJPE": mpjpe(joints, target, HUMAN36),
        "PA-MPJPE": pa_mpjpe(joints, target, HUMAN36),
        "MPVPE": vertex,
    }
    return {name: round(float(value.mean()), 2) for name, value in errors.items()}


def i2l(args: argparse.Namespace, out: Path) -> list[dict[str, object]]:
    steps = args.steps[0]
    schedule = Schedule(
        steps,
        args.batch,
        1e-3,
        max(1, steps // 20),
        evaluate_every=max(1, steps // 10),
        checkpoint_every=max(1, steps // 2),
    )
    config = CompactI2LRun(args.pictures, args.test, seed=SEED, schedule=schedule, lifter=args.lifter)
    work = TimedI2L(config, CPU)
    train(work, out / "compact")
    rival = OfficialI2L(work, steps)
    rival.train(out / "official")
    picture, rows = torch.rand(1, 3, 256, 256), []
    networks = {
        "openhmr compact": (work.network, "vertices_lixel", "compact"),
        "official form": (rival.network, "mesh_coord_img", "official"),
    }
    for name, (network, key, folder) in networks.items():

        def run(x=picture, net=network, key=key):
            return net(x)[key]

        count = steps if folder == "compact" else rival.plan.steps
        facts = {"method": name, "crops": count * args.batch, "core s": round(core_seconds(out / folder))}
        with torch.no_grad():
            rows.append(facts | cost(network, run) | {"ms a crop": median_ms(run)} | recovered(work, run))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    duels = parser.add_subparsers(required=True)
    one = duels.add_parser("pose2mesh")
    one.add_argument("motion", metavar="MOTION.npz")
    one.add_argument(
        "--steps", type=int, nargs=2, default=(450, 300), metavar="N", help="of stage 1 and of stage 2"
    )
    one.add_argument("--batch", type=int, default=64)
    one.add_argument(
        "--level", choices=("coarse", "full"), default="coarse", help="mesh of the official form"
    )
    one.add_argument(
        "--more", type=int, default=0, metavar="N", help="also train the compact model for N batches of 512"
    )
    one.set_defaults(run=pose2mesh)
    one = duels.add_parser("i2l")
    one.add_argument("pictures", metavar="TRAIN")
    one.add_argument("test", metavar="TEST")
    one.add_argument("--steps", type=int, nargs=1, default=(130,), metavar="N")
    one.add_argument("--batch", type=int, default=16)
    one.add_argument(
        "--lifter",
        default="pose2mesh",
        metavar="WEIGHTS",
        help="of the lifter inside the compact network (default: pose2mesh)",
    )
    one.set_defaults(run=i2l)
    for one in duels.choices.values():
        one.add_argument("--out", required=True, metavar="DIR")
        one.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rows = args.run(args, out)
    print(bench.write_table(rows, out, "duel"))
    print(
        f"budget: {list(args.steps)} steps of {args.batch}; {platform.machine()}, {args.threads} thread(s), "
        f"torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
