"""The compact I2L-MeshNet: trunk, volume, targets, training that resumes to the bit, calibration, ONNX."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save, save_file

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.cli import main as user
from openhmr.errors import InputError
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.lab.cli import main as lab
from openhmr.lab.export.compact_i2l import Mirrored, export_run, shrink_betas
from openhmr.lab.export.onnx_files import RECOVER_OUTPUTS as OUTPUTS
from openhmr.lab.models.i2l_meshnet.compact import UNUSED, CompactI2LConfig
from openhmr.lab.synth.crops import Pictures
from openhmr.lab.training.compact_i2l import CompactI2LRecipe, CompactI2LRun, untrained
from openhmr.lab.training.compact_i2l_losses import restore
from openhmr.lab.training.trainer import Trainer, train
from openhmr.predict.recover import Recoverer
from tests.tiny_recipe import SumRecipe

SMALL = {
    "joint_depth_channels": 2,
    "mesh_channels": 8,
    "depth_channels": 2,
    "global_features": 16,
    "regressor_width": 16,
}
SMALL |= {"token_width": 8, "token_features": 2, "nudge_width": 16}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noise pictures with people at random places, in two shards."""
    folder, rng = tmp_path_factory.mktemp("shards"), np.random.default_rng(0)
    for shard in range(2):
        n = 6
        place = np.stack([rng.uniform(-0.8, 0.8, n), rng.uniform(-0.5, 0.5, n), rng.uniform(3, 4, n)], 1)
        pose = rng.normal(size=(n, 24, 3)) * 0.3
        pose[:, 0] += [np.pi, 0, 0]
        K = np.tile(np.array([[400, 0, 159.5], [0, 400, 159.5], [0, 0, 1.0]]), (n, 1, 1))
        centre = place[:, :2] / place[:, 2:] * 400 + 159.5
        box = np.concatenate([centre - [60, 110], np.tile([120.0, 220.0], (n, 1))], 1)
        with tarfile.open(folder / f"images-{shard:05d}.tar", "w") as tar:
            for i in range(n):
                data = cv2.imencode(".jpg", rng.integers(0, 255, (320, 320, 3)).astype(np.uint8))[1].tobytes()
                info = tarfile.TarInfo(f"{shard * n + i:08d}.jpg")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        betas = rng.normal(size=(n, 10))
        rows = {"K": K, "pose": pose, "betas": betas, "translation": place, "box_xywh": box}
        rows["joints_px"] = np.zeros((len(box), 19, 2), np.float32)
        np.savez(folder / f"images-{shard:05d}.npz", body=open_body().content_hash(), **rows)
    # Random weights to start from, so that nothing needs MediaPipe's.
    torch.manual_seed(3)
    weights = untrained(open_body(), CompactI2LConfig(**SMALL)).state_dict()
    (folder / "start").mkdir()
    save_file(
        {f"average.{k}": v.contiguous() for k, v in weights.items()}, folder / "start" / "state.safetensors"
    )
    return folder


def config(shards: Path, **changes: object) -> CompactI2LRun:
    from openhmr.lab.config import build

    schedule = {"steps": 4, "batch": 3, "warmup": 1, "evaluate_every": 4, "checkpoint_every": 2}
    data = {
        "pictures": str(shards),
        "validation": str(shards),
        "model": SMALL,
        "schedule": schedule,
        "start_from": str(shards / "start"),
    }
    return build(CompactI2LRun, data | changes)


@pytest.fixture(scope="module")
def training(shards: Path) -> CompactI2LRecipe:
    return CompactI2LRecipe(config(shards), torch.device("cpu"))


def test_lixel_targets_lead_back_to_the_mesh(training: CompactI2LRecipe) -> None:
    """Augmented, mirrored, off-centre: restoring the targets gives the posed mesh, and so do the parameter
    targets."""
    batch, skeleton = training.source.draw(24, 0, 0), training.losses.skeleton
    restored = restore(batch.vertices, batch.scale_m, batch)
    place = (restored - batch.points_m).mean(1, keepdim=True)
    torch.testing.assert_close(restored - place, batch.points_m, atol=1e-4, rtol=0)
    r, t = skeleton.transforms(batch.rotations, batch.betas)
    skinned = skeleton.vertices(r, t, batch.betas) - skeleton.roots(r, t, batch.betas)
    torch.testing.assert_close(skinned, batch.points_m, atol=1e-4, rtol=0)
    human36 = training.losses.human36 @ restored
    torch.testing.assert_close(human36 - human36[:, :1], batch.human36_m, atol=1e-4, rtol=0)


def test_a_batch_depends_on_seed_and_step_only(training: CompactI2LRecipe) -> None:
    first, again, other = (training.source.draw(4, 5, step) for step in (7, 7, 8))
    assert torch.equal(first.image, again.image) and torch.equal(first.vertices, again.vertices)
    assert not torch.equal(first.image, other.image)


def test_gradient_reaches_what_trains_and_nothing_else(training: CompactI2LRecipe) -> None:
    network = training.network.train()
    network.zero_grad()
    # These begin with zeros, which no gradient passes.
    for layer in (network.second.plane, network.second.move, network.nudge[-1]):
        torch.nn.init.normal_(layer.weight, std=0.01)
    torch.stack(list(training.loss(network, 0, torch.Generator()).values())).sum().backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()}
    frozen = {n for n, p in network.named_parameters() if not p.requires_grad}
    # A heatmap does not change when all its logits rise.
    shift = {
        n for n in without if n.endswith(("plane.bias", "plane.0.bias", "plane.1.bias", "depth.out.bias"))
    }
    # The lifter's own 3D pose and its graph convolutions, and BlazePose's own heatmaps, have no part here.
    unused = {n for n in without if n.startswith(UNUSED)} | {"second.doubt.share"}  # no joint is outside
    assert without - shift - unused == frozen and all(n.startswith("trunk.") for n in frozen)


def test_training_resumes_to_the_bit_and_exports(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = CompactI2LRecipe(config(shards), torch.device("cpu"))
    train(whole, tmp_path / "whole")
    train(CompactI2LRecipe(config(shards), torch.device("cpu")), tmp_path / "parts", until=2)
    parts = CompactI2LRecipe(config(shards), torch.device("cpu"))
    train(parts, tmp_path / "parts")
    for (name, a), b in zip(
        whole.network.state_dict().items(), parts.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    settings = {"validation": str(shards), "recipe": "i2l", "model": {**vars(CompactI2LConfig()), **SMALL}}
    (tmp_path / "whole" / "config.json").write_text(json.dumps(settings))
    assert lab(["export", str(tmp_path / "whole"), "--out", str(tmp_path / "m.onnx")]) == 0
    capsys.readouterr()
    # Views of random weights contradict each other, and are equally sure but for rounding.
    mean = export_run(tmp_path / "whole", tmp_path / "mean.onnx", apart=1e3)
    session = onnxruntime.InferenceSession(str(mean))
    image = np.random.default_rng(0).random((3, 3, 256, 256), np.float32)
    outputs = dict(
        zip([o.name for o in session.get_outputs()], session.run(None, {"image": image}), strict=True)
    )
    with torch.no_grad():
        expected = dict(
            zip(OUTPUTS, Mirrored(whole.network, open_body(), 1e3)(torch.as_tensor(image)), strict=True)
        )
    for name in ("joints_lixel", "vertices_lixel", "rotations", "scale_m"):
        # The file stores half precision: 3 mm on random weights. Its betas are shrunken.
        np.testing.assert_allclose(outputs[name], expected[name].numpy(), atol=0.1, err_msg=name)
    Recoverer(tmp_path / "m.onnx", open_body())
    continued = CompactI2LRecipe(
        config(shards, start_from=str(tmp_path / "m.onnx")), torch.device("cpu")
    ).network
    torch.testing.assert_close(continued.rescale.weight, whole.network.rescale.weight, atol=1e-3, rtol=1e-3)


def test_two_processes_train_together(shards: Path, tmp_path: Path) -> None:
    """Through the command, under torchrun: each draws pictures of its own, and one of them writes."""
    start = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "openhmr",
        "lab",
        "train",
    ]
    start += ["compact_i2l", "--pictures", str(shards), "--validation", str(shards), "--out", str(tmp_path)]
    small = {f"model.{k}": v for k, v in SMALL.items()} | {
        "start_from": shards / "start",
        "validation_crops": 4,
    }
    small |= {"schedule.steps": 2, "schedule.batch": 4, "schedule.evaluate_every": 1}
    for key, value in small.items():
        start += ["--set", f"{key}={value}"]
    done = subprocess.run(start, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("lixel_mpjpe") == 1
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2] and all(np.isfinite(row["mesh"]) for row in rows)
    assert "2 processes" in json.loads((tmp_path / "config.json").read_text())["machine"]
    assert (tmp_path / "state.safetensors").exists()


def test_a_mirrored_crop_gives_the_mirrored_body() -> None:
    torch.manual_seed(0)
    body = open_body()
    network, image = (
        Mirrored(untrained(body, CompactI2LConfig(**SMALL)).eval(), body),
        torch.rand(2, 3, 256, 256),
    )
    with torch.no_grad():
        plain, mirror = (dict(zip(OUTPUTS, network(x), strict=True)) for x in (image, image.flip(3)))
    for name in ("joints", "vertices"):
        x, y = (
            out[f"{name}_lixel"][:, across]
            for out, across in ((plain, slice(None)), (mirror, network.across[name]))
        )
        torch.testing.assert_close(torch.cat([63.75 - y[..., :1], y[..., 1:]], -1), x, atol=1e-3, rtol=0)
        torch.testing.assert_close(
            mirror[f"{name}_sigma"][:, network.across[name]], plain[f"{name}_sigma"], atol=1e-4, rtol=1e-4
        )
    # The skinned bodies are each other's mirror images too.
    ids = body.level("coarse").vertex_ids
    pose = [matrix_to_axis_angle(out["rotations"].double().numpy()) for out in (plain, mirror)]
    left, right = (skin(body, p, np.zeros((2, 10)))[0][:, ids] for p in pose)
    root = 2 * skin(body, pose[0], np.zeros((2, 10)))[1][:, :1]
    np.testing.assert_allclose(
        right[:, network.across["vertices"]] * [-1, 1, 1] + root * [1, 0, 0], left, atol=1e-3
    )


def test_contradicting_views_are_not_averaged() -> None:
    """Both say where the body is but not which side is left: the surer one is taken whole, with what belongs
    to it."""
    body = open_body()
    network = untrained(body, CompactI2LConfig(**SMALL)).eval()
    with torch.no_grad():
        good = network(torch.rand(1, 3, 256, 256))
    mirrored = Mirrored(network, body)
    across = mirrored.across["vertices"]

    def back(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([63.75 - x[..., :1], x[..., 1:]], -1)

    template = torch.as_tensor(body.v_template[body.level("coarse").vertex_ids], dtype=torch.float32)
    mesh = torch.rand(1, len(across), 3) + template * 30 + 32
    plain = good | {"vertices_lixel": mesh, "vertices_sigma": torch.full_like(mesh, 2.0)}
    for turned, sigma, expected in ((False, 1.0, 2.5**0.5), (True, 1.0, 1.0), (True, 3.0, 2.0)):
        mirror = plain | {
            "vertices_lixel": back(mesh) if turned else back(mesh)[:, across],
            "vertices_sigma": torch.full_like(mesh, sigma),
        }
        network.forward = lambda _, m=mirror: {k: torch.cat([plain[k], m[k]]) for k in plain}  # type: ignore[method-assign]
        out = dict(zip(OUTPUTS, mirrored(torch.zeros(1, 3, 256, 256)), strict=True))
        torch.testing.assert_close(out["vertices_sigma"], torch.full_like(mesh, expected))
        torch.testing.assert_close(out["vertices_lixel"], mesh[:, across] if expected == 1 else mesh)


def test_a_folder_without_shards_and_a_broken_picture_are_refused(tmp_path: Path, shards: Path) -> None:
    with pytest.raises(InputError, match="holds no shards"):
        Pictures(tmp_path)
    shutil.copytree(shards, damaged := tmp_path / "damaged")
    whole = (damaged / "images-00001.tar").read_bytes()
    (damaged / "images-00001.tar").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(InputError, match=r"is damaged|holds [12] pictures"):
        Pictures(damaged)
    (damaged / "images-00001.tar").write_bytes(whole)
    arrays = dict(np.load(shards / "images-00000.npz"))
    for change, reason in (
        ({"box_xywh": arrays["box_xywh"] * 0.1}, "pixels large"),
        ({"pose": None}, "lacks pose"),
    ):
        for shard in range(2):
            np.savez(
                damaged / f"images-{shard:05d}.npz",
                **{k: v for k, v in (arrays | change).items() if v is not None},
            )
        with pytest.raises(InputError, match=reason):
            Pictures(damaged)
    pictures = Pictures(shards)
    pictures.jpegs[3] = b"no picture"
    with pytest.raises(InputError, match="picture 3"):
        pictures.image(3)
    with pytest.raises(InputError, match="not a run folder"):
        export_run(tmp_path, tmp_path / "x.onnx")


def test_a_damaged_state_is_refused(tmp_path: Path, shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"validation": str(shards), "recipe": "i2l", "model": {**vars(CompactI2LConfig()), **SMALL}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    good, state = (shards / "start" / "state.safetensors").read_bytes(), tmp_path / "state.safetensors"
    other = {"average.x": torch.zeros(2)}
    for damage, reason in (
        (good[: len(good) // 2], "no readable"),
        (b"", "no readable"),
        (save(other), "does not fit the network"),
    ):
        state.write_bytes(damage)
        assert user(["lab", "export", str(tmp_path), "--out", str(tmp_path / "m.onnx")]) == 2
        message = capsys.readouterr().err
        assert reason in message and message.count("\n") == 1 and not (tmp_path / "m.onnx").exists()
    state.write_bytes(good[:-9])
    with pytest.raises(InputError, match="no readable training state"):
        Trainer(SumRecipe(), tmp_path).resume()


def test_a_start_without_lifter_or_of_another_network_is_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lifts inside"):
        CompactI2LRecipe(config(shards, start_from=None), torch.device("cpu"))
    save_file({"average.x": torch.zeros(2)}, tmp_path / "state.safetensors")
    with pytest.raises(InputError, match="no tensor of .* fits this network"):
        CompactI2LRecipe(config(shards, start_from=str(tmp_path)), torch.device("cpu"))
    save_file({"average.joint_calibration": torch.zeros(19, 3, 2)}, tmp_path / "state.safetensors")
    with pytest.raises(InputError, match="no compact I2L-MeshNet"):
        CompactI2LRecipe(config(shards, start_from=str(tmp_path)), torch.device("cpu"))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("schedule.batch=0", "config key batch is 0; it must be 1 or more"),
        ("schedule.evaluate_every=0", "config key evaluate_every is 0; it must be 1 or more"),
        ("schedule.lr=.nan", "config keys lr nan and average 0.999 of a schedule must lie between"),
        ("schedule.lr=-1", "config keys lr -1.0 and average 0.999 of a schedule must lie between"),
        ("schedule.steps=-1", "config key steps is -1; it must be 1 or more"),
        ("validation_crops=0", "config key validation_crops is 0; it must be 1 or more"),
        ("model.mesh_channels=0", "config key mesh_channels is 0; it must be 1 or more"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_written(
    change: str, cause: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "lab",
        "train",
        "compact_i2l",
        "--pictures",
        str(shards),
        "--validation",
        str(shards),
        "--out",
        str(tmp_path / "run"),
    ]
    assert user([*command, "--set", f"start_from={shards / 'start'}", "--set", change]) == 2
    assert cause in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_training_leaves_the_run_of_another_network_alone(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"recipe": "pose2mesh", "joint_set": "coco", "model": {"hidden": 8}}
    (tmp_path / "config.json").write_text(json.dumps(other))
    command = [
        "lab",
        "train",
        "compact_i2l",
        "--pictures",
        str(shards),
        "--validation",
        str(shards),
        "--out",
        str(tmp_path),
    ]
    assert (
        user(
            [
                *command,
                "--set",
                f"start_from={shards / 'start'}",
                *(f"--set=model.{k}={v}" for k, v in SMALL.items()),
            ]
        )
        == 2
    )
    assert "run of another network" in capsys.readouterr().err
    assert json.loads((tmp_path / "config.json").read_text()) == other


def test_betas_shrink_to_their_regression() -> None:
    torch.manual_seed(0)
    network = untrained(open_body(), CompactI2LConfig(**SMALL))
    features, target = torch.randn(5000, 16), torch.randn(5000, 10)
    last = network.param[-1]
    with torch.no_grad():
        rows = slice(6 * network.parts, None)
        last.weight[rows] = torch.randn(10, 16)
        # Nine betas know nothing; the first is the truth, twice too large and with a bias.
        features[:, 0] = 2 * target[:, 0] + 1
        last.weight[rows][0] = torch.eye(16)[0]
        shrink_betas(network, last(features)[:, rows], target)
        after = last(features)[:, rows]
    torch.testing.assert_close(after[:, 0], target[:, 0], atol=1e-3, rtol=0)
    assert after[:, 1:].std() < 0.15 and (after.mean(0) - target.mean(0)).abs().max() < 1e-3
