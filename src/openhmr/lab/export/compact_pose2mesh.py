"""From a run folder of the compact model to the ONNX file that ships."""

from pathlib import Path

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import JOINT_SETS, SMPL
from openhmr.lab.config import build
from openhmr.lab.export.onnx_files import export
from openhmr.lab.models.checkpoint import load_average, save_average
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.run_folder import read_run


def export_run(run: Path, out: Path, checkpoint: Path | None = None) -> Path:
    """Write the averaged weights of the furthest stage of ``run`` to ``out``, with the training facts as
    metadata.

    ``checkpoint``: also a folder for those weights in half precision, which a later run can ``start_from``.
    """
    states = [run / stage / "state.safetensors" for stage in ("stage2", "stage1")]
    state = next((s for s in states if s.exists()), None)
    if state is None or not (run / "config.json").exists():
        raise InputError(
            f"{run} is not a run folder of the compact model: it has no config.json and "
            f"stage1/state.safetensors"
        )
    config = read_run(run).config
    if config.get("joint_set") not in list(JOINT_SETS) or not isinstance(config.get("model"), dict):
        raise InputError(f"{run}/config.json lacks a joint_set or the model's settings; train again")
    body, joint_set = open_body(), JOINT_SETS[config["joint_set"]]
    network = CompactPose2Mesh(
        joint_set.flip_permutation, body, SMPL.flip_permutation, build(CompactConfig, config["model"])
    )
    facts = {"stage": state.parent.name, **load_average(state, network)}
    if checkpoint is not None:
        save_average(checkpoint, network, facts)
    export(network, body, out, {"joint_set": joint_set.name, "body": body.content_hash(), "training": facts})
    return out
