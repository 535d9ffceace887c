"""Official checkpoints of I2L-MeshNet."""

import pytest
import torch

from openhmr.errors import InputError
from openhmr.lab.cli.weights import config_of
from openhmr.lab.models.i2l_meshnet import official
from openhmr.lab.models.i2l_meshnet.network import KINDS
from openhmr.lab.models.official_files import describe_official, import_official_i2l, trained_epoch
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


def test_the_stage_follows_from_the_weights(tmp_path, network, caplog):
    """A snapshot of the lixel stage holds a regressor of parameters too, whose statistics never moved."""
    path = tmp_path / "snapshot_12.pth.tar"
    torch.save(content(network), path)
    found = describe_official(path)
    assert (found.family, found.stage, found.backbone, found.joints) == ("i2l_meshnet", "param", 18, 29)
    import_official_i2l(path, network)
    assert not caplog.messages
    untrained = {}
    for key, value in network.state_dict().items():
        if key.startswith("param_regressor.") and key.endswith(("num_batches_tracked", "running_mean")):
            untrained[f"module.{key}"] = torch.zeros_like(value)
    assert len(untrained) == 4
    torch.save(content(network, **untrained), path)
    assert describe_official(path).stage == "lixel"
    import_official_i2l(path, network)
    assert "trained to the lixel stage" in caplog.messages[0]
    with pytest.raises(InputError, match="trained to the lixel stage: .* import it as lixel"):
        config_of(describe_official(path), str(path), "param", None)
    assert config_of(describe_official(path), str(path), None, None)["stage"] == "lixel"
