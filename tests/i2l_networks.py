"""The networks of the recorded I2L-MeshNet runs, without the cost of an initialisation that the recorded
weights overwrite."""

import torch

from openhmr.bodies.body import Body
from openhmr.lab.models.i2l_meshnet import official
from openhmr.lab.models.i2l_meshnet.network import KINDS, I2LMeshNet
from openhmr.lab.skinning import SkinningLayer
from tests import pose2mesh_weights
from tests.test_skinning import synthetic_body
from tests.twins import plain_i2l_meshnet

PARTS = ("pose_backbone", "pose_net", "pose2feat", "mesh_backbone", "mesh_net", "param_regressor")


def recorded(kind: str, body: Body, gain: float, parts: tuple[str, ...] = PARTS) -> I2LMeshNet:
    """A param-stage network with recorded weights of ``gain``; only ``parts`` have memory."""
    with torch.device("meta"):
        network = official(kind, "param", body)
    network.joint_regressor, network.human_model_layer = (
        torch.as_tensor(KINDS[kind].regressor(body)),
        SkinningLayer(body),
    )
    for part in parts:
        getattr(network, part).to_empty(device="cpu")
        pose2mesh_weights.fill(getattr(network, part), f"{part}.")
    pose2mesh_weights.scale_matrices(network, gain)
    return network


def plain_twin(network: I2LMeshNet, kind: str, body: Body) -> I2LMeshNet:
    """The slow twin on the very same parameters."""
    with torch.device("meta"):
        twin = plain_i2l_meshnet(kind, network.stage, body)
    twin.load_state_dict(network.state_dict(), assign=True)
    twin.joint_regressor, twin.human_model_layer = network.joint_regressor, network.human_model_layer
    return twin


def recorded_body(kind: str) -> Body:
    return synthetic_body(kind == "hand")
