"""Official checkpoints of I2L-MeshNet."""

import pytest
import torch

from openhmr.errors import InputError
from openhmr.lab.models.checkpoint import import_official_i2l, trained_epoch
from openhmr.lab.models.i2l_meshnet import official
from openhmr.lab.models.i2l_meshnet.network import KINDS
from openhmr.lab.skinning import SkinningLayer
from tests.pose2mesh_weights import fill


@pytest.fixture(scope="module")
def network():
    from tests.conftest import make_tiny_body

    body = make_tiny_body()
    with torch.device("meta"):
        network = official("body", "param", body, 18)
    network.to_empty(device="cpu")
    network.joint_regressor, network.human_model_layer = (
        torch.as_tensor(KINDS["body"].regressor(body)),
        SkinningLayer(body),
    )
    fill(network)
    return network.eval()


def content(network, **more) -> dict:
    arrays = {"th_betas": torch.zeros(1, 10), "th_faces": torch.zeros(80, 3, dtype=torch.int64)}
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    state |= {f"module.human_model_layer.{k}": v for k, v in arrays.items()}
    return {
        "epoch": 12,
        "network": state | more,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
    }


def test_official_import(tmp_path, network):
    """The prefix goes, the body model's arrays are dropped, all else is strict."""
    path = tmp_path / "snapshot_12.pth.tar"
    torch.save(content(network), path)
    saved = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        for value in network.parameters():
            value.zero_()
    import_official_i2l(path, network)
    assert trained_epoch(path) == 12
    assert all(torch.equal(v, saved[k]) for k, v in network.state_dict().items())
    torch.save(content(network, **{"module.pose_net.other": torch.zeros(1)}), path)
    with pytest.raises(InputError, match="unknown"):
        import_official_i2l(path, network)
