"""Which widening of poses helps: a small network trained alike on each, errors on the validation subjects
(mm).

python benchmarks/ablate_widening.py MOTION.npz [--poses FOLDER] [--steps 1200]      about 40 s a row on two
cores
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import torch

from openhmr.lab.models.pose2mesh.compact import CompactConfig
from openhmr.lab.synth.poses import AS_RECORDED, Widening
from openhmr.lab.training.compact_pose2mesh import (
    CompactPose2MeshRun,
    CompactPose2MeshTraining,
    SkinnedStage,
)
from openhmr.lab.training.metrics_file import read_metrics
from openhmr.lab.training.schedule import Schedule
from openhmr.lab.training.trainer import train

FULL = Widening()


def variants(poses: str | None) -> dict[str, dict[str, object]]:
    tilted = dataclasses.replace(AS_RECORDED, tilt_deg=FULL.tilt_deg, tumble=FULL.tumble)
    rows: dict[str, dict[str, object]] = {
        "recorded frames, evenly": {"widening": AS_RECORDED},
        "+ tilted and tumbling bodies": {"widening": tilted},
        "+ exchanged limbs and trunks": {"widening": dataclasses.replace(tilted, exchange=FULL.exchange)},
        "+ perturbed joints instead": {"widening": dataclasses.replace(tilted, perturb=FULL.perturb)},
        "+ both (the default)": {"widening": FULL},
    }
    if poses:
        rows["+ both + 15 single poses"] = {"widening": FULL, "single_poses": poses}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("motion")
    parser.add_argument("--poses")
    parser.add_argument("--steps", type=int, default=1200)
    args = parser.parse_args()
    schedule = Schedule(
        steps=args.steps, batch=512, warmup=100, evaluate_every=args.steps, checkpoint_every=args.steps
    )
    print("| poses | MPJPE | PA-MPJPE | noisy MPJPE | noisy PA-MPJPE |\n|---|---|---|---|---|")
    for name, changes in variants(args.poses).items():
        config = CompactPose2MeshRun(
            "coco", args.motion, model=CompactConfig(hidden=512), stage1=schedule, **changes
        )  # type: ignore[arg-type]
        recipe = SkinnedStage(CompactPose2MeshTraining(config, torch.device("cpu")))
        with tempfile.TemporaryDirectory() as folder:
            train(recipe, Path(folder))
            row = read_metrics(Path(folder))[-1]
        keys = [f"coco_{noise}_{error}" for noise in ("true", "noisy") for error in ("mpjpe", "pa_mpjpe")]
        print(f"| {name} | {' | '.join(f'{row[k]:.1f}' for k in keys)} |", flush=True)


if __name__ == "__main__":
    main()
