"""ResNet (He et al. 2016) as backbone of I2L-MeshNet: torchvision's layout and keys, the stride in the
bottleneck's 3x3."""

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.errors import InputError
from openhmr.lab.models.i2l_meshnet.folding import conv_norm
from openhmr.lab.models.i2l_meshnet.recompute import recomputed_stage, recomputed_stem, usable

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
STEM_CHANNELS = 64

Step = tuple[nn.Conv2d, nn.BatchNorm2d]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Residual block; ``steps`` lists its convolutions with their normalisations, ``shortcut`` is None for
    the identity."""

    expansion: int

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        for i, conv in enumerate(self._convs(inputs, width, stride), 1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(conv.out_channels))
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def _convs(self, inputs: int, width: int, stride: int) -> list[nn.Conv2d]:
        raise NotImplementedError

    def steps(self) -> list[Step]:
        count = sum(name.startswith("conv") for name, _ in self.named_children())
        return [(getattr(self, f"conv{i}"), getattr(self, f"bn{i}")) for i in range(1, count + 1)]

    @property
    def shortcut(self) -> Step | None:
        return None if self.downsample is None else cast(Step, tuple(cast(nn.Sequential, self.downsample)))

    def forward(self, x: Tensor) -> Tensor:
        side = self.shortcut
        shortcut = x if side is None else conv_norm(x, *side, relu=False)
        *inner, last = self.steps()
        for conv, norm in inner:
            x = conv_norm(x, conv, norm)
        return conv_norm(x, *last, add=shortcut)


class BasicBlock(Block):
    expansion = 1

    def _convs(self, inputs: int, width: int, stride: int) -> list[nn.Conv2d]:
        return [_conv(inputs, width, 3, stride), _conv(width, width, 3)]


class Bottleneck(Block):
    expansion = 4

    def _convs(self, inputs: int, width: int, stride: int) -> list[nn.Conv2d]:
        return [
            _conv(inputs, width, 1),
            _conv(width, width, 3, stride),
            _conv(width, width * self.expansion, 1),
        ]


class ResNet(nn.Module):
    """Image ``(B,3,H,W)`` -> early features ``(B,64,H/4,W/4)`` by :meth:`stem` -> last map
    ``(B,channels,H/32,W/32)`` by forward."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise InputError(f"backbone {depth} is unknown; choose one of {sorted(BLOCKS)}")
        block: type[Block] = BasicBlock if depth < 50 else Bottleneck
        self.conv1, self.bn1 = nn.Conv2d(3, STEM_CHANNELS, 7, 2, 3, bias=False), nn.BatchNorm2d(STEM_CHANNELS)
        inputs = STEM_CHANNELS
        for stage, count in enumerate(BLOCKS[depth]):
            width, blocks = 64 << stage, []
            for i in range(count):
                blocks.append(block(inputs, width, 2 if stage and not i else 1))
                inputs = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.channels = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)

    def stem(self, image: Tensor) -> Tensor:
        if self.training and usable(image):
            return recomputed_stem(image, self.conv1, self.bn1)
        return F.max_pool2d(conv_norm(image, self.conv1, self.bn1), 3, 2, 1)

    def forward(self, early: Tensor) -> Tensor:
        early = early.contiguous(memory_format=torch.channels_last)
        for stage in self.stages():
            if self.training and usable(early):
                early = recomputed_stage(
                    early, [(block.steps(), block.shortcut) for block in cast(Iterable[Block], stage)]
                )
            else:
                early = stage(early)
        return early

    def stages(self) -> list[nn.Module]:
        return [getattr(self, f"layer{i}") for i in range(1, 5)]

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Take torchvision's ImageNet weights (its classifier is dropped). Raises :class:`InputError` for
        another depth's."""
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(
                f"these are not the weights of this ResNet ({str(error).splitlines()[-1].strip()})"
            ) from None
