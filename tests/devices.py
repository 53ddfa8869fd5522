"""The devices that the operators' tests run on: the CPU; the CUDA kernels' sources on the CPU; a GPU, if there is one.

The tests' tensors, and the definitions they compare with, stay on the CPU: only the calls of the library's operators
are taken elsewhere.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

import embedseg_ops

SOURCES = Path(__file__).parent / "cuda_on_cpu"
BUILD = Path(os.environ.get("EMBEDSEG_CUDA_ON_CPU_BUILD", SOURCES.parent.parent / "build" / "cuda_on_cpu"))
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
CAN_BUILD = all(shutil.which(tool, path=PATH) for tool in ("cmake", "ninja", "c++"))
HAS_GPU = bool(embedseg_ops.build_info()["cuda"]) and torch.cuda.is_available()


@functools.cache
def build(target: str) -> Path:
    """Build the library `cuda_on_cpu` or the program `planted`; return its file."""
    arguments = ["-S", SOURCES, "-B", BUILD, "-G", "Ninja", f"-DPython_EXECUTABLE={sys.executable}"]
    arguments += os.environ.get("EMBEDSEG_CUDA_ON_CPU_CMAKE", "").split()
    clean = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"} | {"PATH": PATH}
    for command in (["cmake", *arguments], ["cmake", "--build", BUILD, "--target", target]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=clean)
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / ("libcuda_on_cpu.so" if target == "cuda_on_cpu" else target)


class OnCudaSources(TorchDispatchMode):
    """The CUDA kernels, run on the CPU by tests/cuda_on_cpu."""

    def __init__(self):
        super().__init__()
        torch.ops.load_library(build("cuda_on_cpu"))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "embedseg_ops":
            func = getattr(torch.ops.embedseg_ops_cuda_on_cpu, func.__name__.split(".")[0]).default
        return func(*args, **kwargs or {})


class OnGpu(TorchDispatchMode):
    """The CUDA kernels, on a GPU: arguments are copied there, strides and all, and results back."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace != "embedseg_ops":
            return func(*args, **kwargs or {})
        there = pytree.tree_map_only(Tensor, _to_gpu, (args, kwargs or {}))
        return pytree.tree_map_only(Tensor, _to_cpu, func(*there[0], **there[1]))


def _to_gpu(tensor: Tensor) -> Tensor:
    if 0 in tensor.shape:
        return tensor.to("cuda")
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
    return copy.copy_(tensor)


def _to_cpu(tensor: Tensor) -> Tensor:
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return copy.copy_(tensor)


MODES = {"cuda_on_cpu": OnCudaSources, "gpu": OnGpu}
