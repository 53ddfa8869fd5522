"""The device that a network runs on."""

import math

import torch

DEVICES = "cpu, cuda, cuda:N or mps"


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or without one CUDA where torch can use it and the CPU where it cannot.

    Raises:
        ValueError: torch finds no such CUDA device, or no GPU of Apple's (``mps``), or knows no device of this name;
            nothing falls back in silence.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be {DEVICES}, got {device!r}") from None
    counted = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counted.get(device.type, math.inf):
        raise ValueError(f"torch {torch.__version__} finds no device {device} here")
    return device


def has_bf16(device: torch.device) -> bool:
    """Return whether the device has instructions for bfloat16, which others emulate at a tenth of float32's speed."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
