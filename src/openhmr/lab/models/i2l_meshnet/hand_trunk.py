"""MediaPipe's hand landmark network: the trunk of the compact model of hands, with the weights of the *full*
model (Apache-2.0), which the detector of hands that ships has too.

As :mod:`~openhmr.lab.models.i2l_meshnet.blazepose`, its features were learned on photos. The network has no
heatmaps: the pyramid that carries them here is new, and starts at random.

Source: Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020).
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.lab.models.i2l_meshnet.blazepose import (
    PYRAMID,
    Block,
    Pair,
    SameConv,
    depthwise,
    merged,
    run_blocks,
)
from openhmr.models import available

HAND_LANDMARKS = 21
"""In the order of the joint set ``mano``."""
INPUT_PX = 224
"""Side of the picture that the landmarks are in pixels of."""
BLOCKS = (
    (24, 64, 3, 2),
    (24, 144, 3, 1),
    (40, 144, 5, 2),
    (40, 240, 5, 1),
    (80, 240, 3, 2),
    (80, 480, 3, 1),
    (80, 480, 3, 1),
    (112, 480, 5, 1),
    (112, 672, 5, 1),
    (112, 672, 5, 1),
    (192, 672, 5, 2),
    (192, 1152, 5, 1),
    (192, 1152, 5, 1),
    (192, 1152, 5, 1),
)
"""Channels, expanded channels, kernel and stride of every inverted residual."""
LATERALS = {1: 24, 3: 40, 9: 112}
"""Blocks whose outputs join the pyramid, and their channels: strides 4, 8 and 16."""
WIDE = 1152


class HandTrunk(nn.Module):
    """``forward(image (B,3,S,S) RGB in [0,1])`` -> dict of features ``fine (B,48,S/4,S/4)``, ``deep
    (B,112,S/16,S/16)``, ``coarse (B,1152,S/32,S/32)`` and their mean ``tower (B,1152)``, of ``landmarks
    (B,21,4)``: x, y, z in pixels of the picture (z from the wrist) and the logit of a hand, the logit of a
    right hand, ``right (B,1)``, and ``world (B,21,3)`` metres about the hand's middle.

    S is 224 in the original; of crops of 256 pixels the landmarks are as good (measured).
    """

    deep_channels, coarse_channels, tower_channels = 112, WIDE, WIDE
    fresh = ("laterals.", "top.")
    """How the names of parameters begin that are not MediaPipe's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleList([SameConv(3, 24, 3, 2), depthwise(24, 3), nn.Conv2d(24, 16, 1)])
        blocks, inputs = [], 16
        for outputs, wide, kernel, stride in BLOCKS:
            blocks.append(Block(inputs, outputs, wide, kernel, stride, same=True))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.ModuleList([nn.Conv2d(inputs, WIDE, 1), depthwise(WIDE, 3)])
        self.right, self.presence = nn.Linear(WIDE, 1), nn.Linear(WIDE, 1)
        self.landmarks, self.world = nn.Linear(WIDE, 3 * HAND_LANDMARKS), nn.Linear(WIDE, 3 * HAND_LANDMARKS)
        self.laterals = nn.ModuleDict({str(i): Pair(c, PYRAMID) for i, c in LATERALS.items()})
        self.top = nn.Conv2d(WIDE, PYRAMID, 1)

    def forward(self, image: Tensor, frozen: int = 0) -> dict[str, Tensor]:
        """``frozen``: so many blocks, and the stem, run without gradient."""
        x, taps = run_blocks(self.stem, self.blocks, image, frozen, LATERALS)
        for layer in self.last:
            x = F.relu6(layer(x))
        y = F.relu6(self.top(x))
        y = merged(y, taps, self.laterals)
        tower = x.mean((2, 3))
        # A hand that is larger in pixels is told by its shares of the picture.
        points = self.landmarks(tower).view(-1, HAND_LANDMARKS, 3) * (image.shape[-1] / INPUT_PX)
        presence = self.presence(tower)[:, None].expand(-1, HAND_LANDMARKS, 1)
        return {
            "fine": y,
            "deep": taps[9],
            "coarse": x,
            "tower": tower,
            "landmarks": torch.cat([points, presence], -1),
            "right": self.right(tower),
            "world": self.world(tower).view(-1, HAND_LANDMARKS, 3),
        }

    def freeze(self, blocks: int) -> None:
        """Keep the stem, so many blocks and every depthwise convolution of MediaPipe's as they are."""
        own = [m for part in (self.blocks, self.last) for m in part.modules() if isinstance(m, nn.Conv2d)]
        kept = [*self.stem, *self.blocks[:blocks], *(m for m in own if m.groups > 1)]
        for part in kept:
            part.requires_grad_(False)

    def _in_file_order(self) -> Iterator[nn.Conv2d | nn.Linear]:
        yield from self.stem  # type: ignore[misc]
        for block in self.blocks:
            yield from (block.expand, block.depthwise, block.project)  # type: ignore[misc]
        yield from self.last  # type: ignore[misc]
        yield from (self.right, self.presence, self.landmarks, self.world)

    def load_mediapipe(self, path: Path | None = None) -> None:
        """Load MediaPipe's weights from the detector of hands that ships, or from another file that `openhmr
        lab import-hand-detector` wrote. Raises :class:`InputError` for one with other layers."""
        path = available()["hand_detector"] if path is None else path
        constants, layers = list(_constants(path)), list(self._in_file_order())
        fits = len(constants) == len(layers) and all(
            weight.shape == layer.weight.shape for (weight, _), layer in zip(constants, layers, strict=True)
        )
        if not fits:
            raise InputError(f"{path} does not hold MediaPipe's full hand landmark network; import it anew")
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, constants, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)  # type: ignore[union-attr]


def _constants(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Weights and biases of the convolutions and linear layers that follow from ``hand_image``."""
    graph = onnx.load(str(path)).graph
    stored = {t.name: torch.tensor(numpy_helper.to_array(t)).float() for t in graph.initializer}
    wide = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Cast"}
    begun = False
    for node in graph.node:
        begun |= "hand_image" in node.input
        if begun and node.op_type in ("Conv", "Gemm"):
            weight, bias = (stored[wide.get(name, name)] for name in node.input[1:3])
            yield weight, bias
