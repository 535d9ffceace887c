"""From a run folder of the compact model to the ONNX file that ships."""

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from openhmr.bodies.open_body import open_body
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import SMPL
from openhmr.lab.bake.onnx import export
from openhmr.lab.config import build, read_run
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.training.compact import JOINT_SETS


def export_run(run: Path, out: Path, checkpoint: Path | None = None) -> Path:
    """Write the averaged weights of the furthest stage of ``run`` to ``out``, with the training facts as metadata.

    ``checkpoint``: also a folder for those weights in half precision, which a later run can ``start_from``.
    """
    states = [run / stage / "state.safetensors" for stage in ("stage2", "stage1")]
    state = next((s for s in states if s.exists()), None)
    if state is None or not (run / "config.json").exists():
        raise InputError(f"{run} is not a run folder of the compact model: it has no config.json and stage1/state.safetensors")
    config = read_run(run)
    if config.get("joint_set") not in list(JOINT_SETS) or not isinstance(config.get("model"), dict):
        raise InputError(f"{run}/config.json lacks a joint_set ({' or '.join(JOINT_SETS)}) or the model's settings; train again")
    body, joint_set = open_body(), JOINT_SETS[config["joint_set"]]
    network = CompactPose2Mesh(joint_set.flip_permutation, body, SMPL.flip_permutation, build(CompactConfig, config["model"]))
    with safe_open(state, "pt") as file:
        weights = {k[8:]: file.get_tensor(k) for k in file.keys() if k.startswith("average.")}  # noqa: SIM118
        facts = {"stage": state.parent.name, "step": int(file.metadata()["step"]), "seconds": round(float(file.metadata()["seconds"]))}
    network.load_state_dict(weights)
    if checkpoint is not None:
        checkpoint.mkdir(parents=True, exist_ok=True)
        half = {f"average.{k}": v.half() if v.is_floating_point() else v for k, v in weights.items()}
        with atomic_path(checkpoint / "state.safetensors") as temporary:
            save_file(half, temporary, {k: str(v) for k, v in facts.items()})
    export(network, body, out, {"joint_set": joint_set.name, "body": body.content_hash(), "training": facts})
    return out
