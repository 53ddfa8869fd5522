"""The compiled library: loading it registers the operators with PyTorch."""

import torch  # noqa: F401  # loads libtorch, which _C needs

from embedseg_ops import _C  # an error here must reach the user


def build_info() -> dict[str, object]:
    """Tell what this installation was built with and which instruction set it uses.

    Returns:
        ``torch``: the torch version whose headers it was built with; ``cuda``: the version of nvcc, None for a
        CPU-only build; ``cuda_runtime``: the version of the CUDA runtime inside, 0 without; ``cuda_stream``: whether
        the installed torch can run CUDA; ``simd``: ``"avx512"``, ``"avx2"`` or ``"plain"``.
    """
    return _C.build_info()
