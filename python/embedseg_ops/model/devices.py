"""The device that a network runs on."""

import torch


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return `device`, or without one CUDA where torch can use it and the CPU where it cannot.

    Raises:
        ValueError: a CUDA device or Apple's GPU (``mps``) is asked for and there is none; nothing falls back in
            silence.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device} was asked for, but torch {torch.__version__} finds no CUDA device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device {device} was asked for, but torch {torch.__version__} finds no GPU of Apple's")
    return device


def has_bf16(device: torch.device) -> bool:
    """Return whether the device has instructions for bfloat16, which others emulate at a tenth of float32's speed."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
