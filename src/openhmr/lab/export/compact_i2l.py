"""The compact I2L-MeshNet as the ONNX file that ships: calibrated, averaged over mirror images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import COCO, SMPL
from openhmr.lab.config import build
from openhmr.lab.export.onnx_files import (
    RECOVER_OUTPUTS,
    dependencies,
    halve,
    save_model,
    strip_prefix,
    traced,
)
from openhmr.lab.models.checkpoint import load_average
from openhmr.lab.models.i2l_meshnet.compact import CompactI2L, CompactI2LConfig
from openhmr.lab.run_folder import read_run
from openhmr.lab.skinning import columns_to_rotation
from openhmr.lab.synth.augment import NONE
from openhmr.lab.synth.crops import CropSource, Pictures, cut
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.training.compact_i2l import untrained
from openhmr.lab.training.compact_i2l_losses import near
from openhmr.predict.coarse_mesh import coarse_regressor
from openhmr.predict.person_crop import LIXELS, PATCH

HARD = replace(NONE, scale=0.15, shift=0.08, cut_off=0.4, erase=0.4, face=0.2, small=0.2, motion_blur=0.1)
"""Crops that deviations are calibrated on: much of the people is cut off or hidden."""
AGAIN = 2
"""So often a picture is used at most."""


def calibrate(network: CompactI2L, pictures: Pictures, body: Body, count: int = 1000) -> None:
    """Fit ``sigma^2 = a spread^2 + b`` per axis to the squared errors on ``count`` crops (:data:`HARD`), for
    every joint, and for the vertices of every part of the body, and shrink the betas
    (:func:`shrink_betas`)."""
    human36 = torch.as_tensor(coarse_regressor(body, body.joint_regressor("human36")))
    source = CropSource(pictures, Skeleton(body), human36, SMPL.flip_permutation, HARD)
    usable = pictures.usable
    ids, rng = np.resize(usable, min(count, AGAIN * len(usable))), np.random.default_rng(0)
    network.eval()
    lines = {"joints": network.joint_calibration, "vertices": network.vertex_calibration}
    for line in lines.values():
        line.copy_(torch.tensor([1.0, 0.0]).expand_as(line))
    both = Mirrored(network, body)
    found: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {"joints": [], "vertices": []}
    betas: list[tuple[Tensor, Tensor]] = []
    for some in np.array_split(ids, -(-len(ids) // 25)):
        batch = source.targets(some, [cut(pictures, int(k), HARD, rng) for k in some])
        with torch.no_grad():
            out = dict(zip(RECOVER_OUTPUTS, both(batch.image), strict=True))
        betas.append((out["betas"], batch.betas))
        for name, pairs in found.items():
            target = getattr(batch, name)
            error = (out[f"{name}_lixel"] - target).square()
            pairs.append((out[f"{name}_sigma"].square(), error, near(target)[..., 0] > 0))
    part = body.weights[body.level("coarse").vertex_ids].argmax(1)
    for name, groups in (("joints", np.arange(COCO.size)), ("vertices", part)):
        spread, error, learned = (torch.cat(p) for p in zip(*found[name], strict=True))
        for group in np.unique(groups):
            own, use = groups == group, learned[:, groups == group]
            for axis in range(3):
                pair = (x[:, own, axis][use].double() for x in (spread, error))
                lines[name][own, axis] = variance_line(*pair)
    with torch.no_grad():
        shrink_betas(network, *(torch.cat(b) for b in zip(*betas, strict=True)))


def shrink_betas(network: CompactI2L, predicted: Tensor, target: Tensor) -> None:
    """Replace every predicted beta by its regression on validation pictures, inside the last layer: what a
    picture does not tell of a body's shape then comes out as the average body's, not as noise."""
    last = network.param[-1]
    assert isinstance(last, nn.Linear)
    rows = slice(6 * network.parts, None)
    centred = predicted - predicted.mean(0)
    slope = ((centred * target).sum(0) / centred.square().sum(0).clamp(min=1e-6)).clamp(0, 1)
    last.weight[rows] *= slope[:, None]
    last.bias[rows] = slope * (last.bias[rows] - predicted.mean(0)) + target.mean(0)


def variance_line(spread2: Tensor, error2: Tensor) -> Tensor:
    """``(a, b)``, none negative, that maximise the likelihood of errors with variance ``a spread2 + b`` in
    relative terms: weighted least squares, the weights from a first fit, since the scatter of squared errors
    grows with their size."""
    a, b = torch.ones((), dtype=torch.float64), error2.mean() * 0.1
    for _ in range(20):
        weight = 1 / (a * spread2 + b).square()
        design = torch.stack([spread2, torch.ones_like(spread2)], 1) * weight.sqrt()[:, None]
        solution = torch.linalg.lstsq(design, (error2 * weight.sqrt())[:, None]).solution[:, 0]
        a, b = solution[0].clamp(min=0.05), solution[1].clamp(min=1e-3)
    return torch.stack([a, b]).float()


APART = 5.0
"""Lixels from which on two views contradict each other: 3 to 4 % of rendered pictures, whose PA-MPJPE falls
from 198 to 160 mm."""


class Mirrored(nn.Module):
    """The mean of what ``network`` makes of a crop and of its mirror image, as the tuple
    :data:`RECOVER_OUTPUTS` that ONNX wants.

    Costs twice the time and takes about 4 % off the error. Variances are averaged, not diminished: both views
    err alike. Where COCO's joints of the two are more than ``apart`` lixels from each other, on average, the
    surer one counts alone: a body seen once from the front and once from behind would be averaged to a stick,
    its left on its right.
    """

    def __init__(self, network: CompactI2L, body: Body, apart: float = APART) -> None:
        super().__init__()
        self.network, self.apart = network, apart
        rest = torch.as_tensor(body.v_template[body.level("coarse").vertex_ids])
        across = torch.cdist(rest * rest.new_tensor([-1, 1, 1]), rest).argmin(1)
        coco = torch.as_tensor(COCO.flip_permutation)
        self.across = {"joints": coco, "vertices": across, "parts": torch.as_tensor(SMPL.flip_permutation)}
        sign = torch.tensor([-1.0, 1, 1])
        self.signs = torch.outer(sign, sign)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # One batch, because tracing the network twice would store its constants twice.
        both = {
            k: v.view(2, -1, *v.shape[1:]) for k, v in self.network(torch.cat([image, image.flip(3)])).items()
        }
        plain, mirror = ({k: v[i] for k, v in both.items()} for i in range(2))

        # Pixel x of the crop's 256 is 255 - x in the mirror.
        last = LIXELS * (PATCH - 1) / PATCH

        def back(x: Tensor) -> Tensor:
            return torch.cat([last - x[..., :1], x[..., 1:]], -1)

        mesh, other = plain["vertices_lixel"], back(mirror["vertices_lixel"][:, self.across["vertices"]])
        apart = (self.network.regressed(mesh) - self.network.regressed(other)).norm(dim=-1).mean(
            1
        ) > self.apart
        surer = plain["vertices_sigma"].mean((1, 2)) <= mirror["vertices_sigma"].mean((1, 2))
        share = 0.5 + apart.to(mesh.dtype) * (surer.to(mesh.dtype) - 0.5)

        def mean(a: Tensor, b: Tensor) -> Tensor:
            weight = share.view(-1, *[1] * (a.ndim - 1))
            return weight * a + (1 - weight) * b

        out = {
            "scale_m": mean(plain["scale_m"].log(), mirror["scale_m"].log()).exp(),
            "betas": mean(plain["betas"], mirror["betas"]),
        }
        for name in ("joints", "vertices"):
            lixel, sigma = f"{name}_lixel", f"{name}_sigma"
            out[lixel] = mean(plain[lixel], back(mirror[lixel][:, self.across[name]]))
            out[sigma] = mean(plain[sigma].square(), mirror[sigma][:, self.across[name]].square()).sqrt()
        turns = mean(plain["rotations"], mirror["rotations"][:, self.across["parts"]] * self.signs)
        out["rotations"] = columns_to_rotation(turns[..., 0], turns[..., 1])
        return tuple(out[name] for name in RECOVER_OUTPUTS)


def export(
    network: CompactI2L, body: Body, path: Path, training: Mapping[str, object], apart: float = APART
) -> None:
    """Write ``network``, :class:`Mirrored`, to ``path`` with the facts of its ``training``."""
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model = traced(Mirrored(network, body, apart), torch.rand(2, 3, 256, 256), "image", RECOVER_OUTPUTS)
    strip_prefix(model.graph, "network.")
    halve(model.graph)
    save_model(model, path, dependencies("i2l_meshnet", "compact", COCO, body) | {"training": training})


def export_run(run: Path, out: Path, apart: float = APART) -> Path:
    """Calibrate the averaged weights of ``run`` on its validation pictures and write them to ``out``, as
    :class:`Mirrored`."""
    state = run / "state.safetensors"
    if not state.exists() or not (run / "config.json").exists():
        raise InputError(
            f"{run} is not a run folder of the compact I2L-MeshNet: it has no config.json and "
            f"state.safetensors"
        )
    config, body = read_run(run).config, open_body()
    if not isinstance(config.get("validation"), str) or not isinstance(config.get("model"), dict):
        raise InputError(
            f"{run}/config.json lacks the folder of validation pictures or the model's settings; train again"
        )
    network = untrained(body, build(CompactI2LConfig, config["model"]))
    facts = load_average(state, network)
    calibrate(network, Pictures(config["validation"]), body)
    export(network, body, out, facts, apart)
    return out
