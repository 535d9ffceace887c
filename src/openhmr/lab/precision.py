"""Half precision where the hardware computes in it, float32 elsewhere."""

import torch


def has_bfloat16(device_type: str) -> bool:
    """Whether ``device_type`` multiplies bfloat16 in hardware. A CPU without such instructions emulates them,
    at up to a hundred times the time of float32."""
    if device_type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device_type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device_type: str, enabled: bool = True) -> torch.autocast:
    """Autocast to bfloat16 if ``enabled`` and :func:`has_bfloat16`, else a context that changes nothing."""
    return torch.autocast(device_type, torch.bfloat16, enabled=enabled and has_bfloat16(device_type))
