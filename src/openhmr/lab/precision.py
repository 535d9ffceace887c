"""The precision that forward passes are computed in while training, chosen by what the hardware has."""

import logging
import platform
from dataclasses import dataclass
from typing import Literal

import torch

log = logging.getLogger(__name__)

Name = Literal["float32", "bf16", "fp16"]
Wish = Literal["auto", "float32", "bf16", "fp16"]


@dataclass(frozen=True)
class Precision:
    """Autocast of forward passes on devices of ``device_type``; losses and weights stay float32.
    ``hardware_bf16`` says whether these devices compute in bfloat16."""

    name: Name = "float32"
    device_type: str = "cpu"
    hardware_bf16: bool = False

    def autocast(self, enabled: bool = True) -> torch.autocast:
        """The context of a forward pass; with float32, or not ``enabled``, it changes nothing."""
        half = torch.float16 if self.name == "fp16" else torch.bfloat16
        return torch.autocast(self.device_type, half, enabled=enabled and self.name != "float32")

    def announce(self) -> None:
        """Log it, with a warning where it is emulated."""
        has = "has" if self.hardware_bf16 else "has no"
        log.info("computing in %s; this %s %s bfloat16 instructions", self.name, self.device_type, has)
        if self.name == "bf16" and not self.hardware_bf16:
            log.warning(
                "this %s emulates bfloat16, up to 100 times slower than float32; set precision to auto or "
                "float32",
                self.device_type,
            )


FLOAT32 = Precision()


def choose_precision(wish: Wish, device_type: str, hardware_bf16: bool | None = None) -> Precision:
    """What ``wish`` means on a device: ``auto`` is bf16 where the hardware computes in it, else float32; any
    other wish is granted.

    ``hardware_bf16`` says whether it does; by default the device is asked (:func:`has_bfloat16`).
    """
    hardware = has_bfloat16(device_type) if hardware_bf16 is None else hardware_bf16
    name: Name = ("bf16" if hardware else "float32") if wish == "auto" else wish
    return Precision(name, device_type, hardware)


def has_bfloat16(device_type: str) -> bool:
    """Whether ``device_type`` multiplies bfloat16 in hardware."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return True
    if platform.machine().lower() in ("x86_64", "amd64"):
        # oneDNN also calls AVX-512 without these instructions supported, and emulates them.
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
