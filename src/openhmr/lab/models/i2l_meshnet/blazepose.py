"""BlazePose: the trunk of the compact model, with the weights of MediaPipe's *full* landmark model
(Apache-2.0, inside its wheel).

Features learned on ImageNet know what things are; these were learned on photos of people and know where
their joints are, which rendered pictures cannot teach. The layers are those of the weights' file; its
segmentation and presence heads are left out. BatchNorm is already part of the convolutions there, so the
trunk has no statistics that rendered pictures could spoil.

Source: Bazarevsky et al., "BlazePose" (2020); Grishchenko et al., "BlazePose GHUM Holistic" (2022).
"""

import importlib.util
from collections.abc import Container, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.lab.models.tflite_file import TFLiteFile

LANDMARKS = 39
"""33 landmarks of the body, then six that place the next frame's crop."""
COCO_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Landmarks that are COCO's joints."""
PYRAMID = 48
BLOCKS = (
    (24, 64, 3, 2),
    (24, 144, 3, 1),
    (32, 144, 5, 2),
    (32, 192, 5, 1),
    (64, 192, 3, 2),
    (64, 384, 3, 1),
    (64, 384, 3, 1),
    (88, 384, 5, 1),
    (88, 528, 5, 1),
    (88, 528, 5, 1),
    (144, 528, 5, 2),
    (144, 864, 5, 1),
    (144, 864, 5, 1),
    (144, 864, 5, 1),
)
"""Channels, expanded channels, kernel and stride of every inverted residual."""
LATERALS = {1: 24, 3: 32, 9: 88}
"""Blocks whose outputs join the pyramid, and their channels: strides 4, 8 and 16."""
TOWER = (4, 5)
"""Residual pairs at 4x4 and at 2x2 pixels, each after one of stride 2."""


class SameConv(nn.Conv2d):
    """A convolution of stride 2 padded as TensorFlow's "same": the odd column at the right and the odd row at
    the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        before, after = total // 2, total - total // 2
        padded = F.pad(x, (before, after, before, after))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


def depthwise(channels: int, kernel: int, stride: int = 1, same: bool = False) -> nn.Conv2d:
    """Padded alike on all sides, unless ``same`` and of stride 2."""
    if same and stride == 2:
        return SameConv(channels, channels, kernel, stride, groups=channels)
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels)


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(
        self, inputs: int, outputs: int, wide: int, kernel: int, stride: int, same: bool = False
    ) -> None:
        super().__init__()
        self.expand, self.depthwise, self.project = (
            nn.Conv2d(inputs, wide, 1),
            depthwise(wide, kernel, stride, same),
            nn.Conv2d(wide, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        frozen = not torch.is_grad_enabled()
        y = F.relu6(self.expand(x), inplace=frozen)
        if self.depthwise.stride == (2, 2) and not frozen:
            # On CPUs its gradient in bf16 takes seventy times as long as in float32.
            with torch.autocast(x.device.type, enabled=False):
                y = self.depthwise(y.float())
        else:
            y = self.depthwise(y)
        y = self.project(F.relu6(y, inplace=frozen))
        return x + y if self.residual else y


class Pair(nn.Module):
    """Depthwise and pointwise convolution; ``stride`` None: both activated, else a residual (pooled for
    stride 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int | None = None) -> None:
        super().__init__()
        self.depthwise = (
            SameConv(inputs, inputs, 3, 2, groups=inputs) if stride == 2 else depthwise(inputs, 3)
        )
        self.point, self.stride = nn.Conv2d(inputs, outputs, 1), stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.point(F.relu6(self.depthwise(x)))
        if self.stride is None:
            return F.relu6(y)
        return F.relu6((F.max_pool2d(x, 2) if self.stride == 2 else x) + y)


def run_blocks(
    stem: nn.ModuleList, blocks: nn.ModuleList, image: Tensor, frozen: int, tapped: Container[int]
) -> tuple[Tensor, dict[int, Tensor]]:
    """What a stem of three convolutions and the inverted residuals make of ``image``, and the outputs of the
    blocks that are ``tapped``; so many ``frozen`` blocks, and the stem, run without gradient."""
    first, second, third = stem
    wanted, taps = torch.is_grad_enabled(), {}
    with torch.set_grad_enabled(wanted and frozen == 0):
        x = third(F.relu6(second(F.relu6(first(image)))))
    for i, block in enumerate(blocks):
        with torch.set_grad_enabled(wanted and i >= frozen):
            x = block(x)
        if i in tapped:
            taps[i] = x
    return x, taps


def merged(coarse: Tensor, taps: dict[int, Tensor], laterals: nn.ModuleDict) -> Tensor:
    """The pyramid from ``coarse`` features to the finest of ``taps``."""
    for i in reversed(taps):
        up = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        coarse = up + laterals[str(i)](taps[i])
    return coarse


class BlazePose(nn.Module):
    """``forward(image (B,3,256,256) RGB in [0,1])`` -> dict of features ``fine (B,48,64,64)`` (of which
    ``heat`` makes the landmarks' heatmaps), ``deep (B,88,16,16)``, ``coarse (B,864,8,8)`` and ``tower
    (B,1152)``, of ``landmarks (B,39,5)``: x, y, z in pixels of the crop (z from the hips' middle), and the
    logits of visibility and presence, and ``world (B,39,3)`` metres from the hips' middle."""

    deep_channels, coarse_channels, tower_channels = 88, 864, 1152
    fresh: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleList([nn.Conv2d(3, 24, 3, 2, 1), depthwise(24, 3), nn.Conv2d(24, 16, 1)])
        blocks, inputs = [], 16
        for outputs, wide, kernel, stride in BLOCKS:
            blocks.append(Block(inputs, outputs, wide, kernel, stride))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.ModuleList([nn.Conv2d(inputs, 864, 1), depthwise(864, 3), depthwise(864, 3)])
        self.laterals = nn.ModuleDict({str(i): Pair(c, PYRAMID) for i, c in LATERALS.items()})
        self.top = nn.Conv2d(864, PYRAMID, 1)
        self.heat = nn.Conv2d(PYRAMID, LANDMARKS, 1)
        self.enter = Pair(864, 288)
        self.tower = nn.Sequential(*(Pair(288, 288, s) for n in TOWER for s in (2, *[1] * n)))
        self.landmarks, self.world = nn.Conv2d(288, LANDMARKS * 5, 2), nn.Conv2d(288, LANDMARKS * 3, 2)

    def forward(self, image: Tensor, frozen: int = 0) -> dict[str, Tensor]:
        """``frozen``: so many blocks, and the stem, run without gradient."""
        x, taps = run_blocks(self.stem, self.blocks, image, frozen, LATERALS)
        for layer in self.last[:2]:
            x = F.relu6(layer(x))
        y = F.relu6(self.top(F.relu6(self.last[2](x))))
        y = merged(y, taps, self.laterals)
        tower = self.tower(self.enter(x))
        return {
            "fine": y,
            "deep": taps[9],
            "coarse": x,
            "tower": tower.flatten(1),
            "landmarks": self.landmarks(tower).view(-1, LANDMARKS, 5),
            "world": self.world(tower).view(-1, LANDMARKS, 3),
        }

    def freeze(self, blocks: int) -> None:
        """Keep the stem, so many blocks and every depthwise convolution as they are; the gradient of 5x5 ones
        costs more than all else."""
        kept = [
            *self.stem,
            *self.blocks[:blocks],
            *(m for m in self.modules() if isinstance(m, nn.Conv2d) and m.groups > 1),
        ]
        for part in kept:
            part.requires_grad_(False)

    def _in_file_order(self) -> Iterator[nn.Conv2d | None]:
        """Convolutions in the order of the file; None: one that is left out."""
        yield from self.stem  # type: ignore[misc]
        skipped: list[nn.Conv2d | None] = [None, None]
        for i, block in enumerate(self.blocks):
            yield block.expand  # type: ignore[misc]
            if block.depthwise.stride == (2, 2):  # type: ignore[union-attr]
                yield from skipped
            yield block.depthwise  # type: ignore[misc]
            yield block.project  # type: ignore[misc]
            pair = self.laterals[str(i)] if i in LATERALS else None
            skipped = [pair.depthwise, pair.point] if pair is not None else skipped  # type: ignore[list-item]
        yield from self.last  # type: ignore[misc]
        yield self.top
        yield from [None] * 11
        yield self.heat
        for pair in (self.enter, *self.tower):
            yield from (pair.depthwise, pair.point)  # type: ignore[misc]
        yield from (self.landmarks, self.world)

    def load_mediapipe(self) -> None:
        """Load the weights that the package ``mediapipe`` carries. Raises :class:`InputError` without it."""
        if (
            importlib.util.find_spec("tflite") is None
            or (found := importlib.util.find_spec("mediapipe")) is None
            or not found.origin
        ):
            raise InputError(
                "BlazePose's weights are not installed; `pip install openhmr[train] mediapipe==0.10.14` "
                "brings them"
            )
        constants = convolutions(
            Path(found.origin).parent / "modules/pose_landmark/pose_landmark_full.tflite"
        )
        with torch.no_grad():
            for layer, (weight, bias) in zip(self._in_file_order(), constants, strict=False):
                if layer is not None:
                    layer.weight.copy_(weight if layer.groups == 1 else weight.transpose(0, 1))
                    assert layer.bias is not None
                    layer.bias.copy_(bias)


def convolutions(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Weights ``(O,I,h,w)`` (depthwise ``(1,C,h,w)``) and biases of a TensorFlow Lite file's convolutions."""
    for weight, bias in TFLiteFile(path.read_bytes(), path.name).convolutions():
        yield torch.tensor(weight).permute(0, 3, 1, 2), torch.tensor(bias)
