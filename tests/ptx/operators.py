"""The library's operators with their kernels run from nvcc's PTX: the host's side is that of tests/cuda_on_cpu."""

import ctypes
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import torch
from devices import BUILD, PATH, build
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .machine import Machine
from .memory import Memory
from .program import Kernel, read_kernels

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "csrc"
CAN_COMPILE = shutil.which("nvcc", path=PATH) is not None
LEFT_OUT = ("_double", "_bfloat16")  # of the files for each type: nvcc takes its time, and these are like the others
STORAGES = ("float", "c10::Half")
ARCHITECTURE = "sm_80"  # the least that the library supports: what newer ones have runs there too


class OnPtx(TorchDispatchMode):
    """Takes the library's operators to the machine. `order`: see :class:`Machine`."""

    def __init__(self, order: int | None = None):
        super().__init__()
        file = build("cuda_on_cpu")
        torch.ops.load_library(file)
        self.library, self.names = ctypes.CDLL(str(file)), _function_names(file)
        self.memory, self.waits, self.error = Memory(), 0, None
        self.machine = Machine(self.memory, order)
        self.functions = _Elsewhere(_RUN(self._run), _MEMORY(self.memory.note), _WAIT(self._wait))

    def __enter__(self):
        self.library.simulate_elsewhere(self.functions)
        return super().__enter__()

    def __exit__(self, *details):
        self.library.simulate_elsewhere(_Elsewhere())
        return super().__exit__(*details)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace != "embedseg_ops":
            return func(*args, **kwargs or {})
        func = getattr(torch.ops.embedseg_ops_cuda_on_cpu, func.__name__.split(".")[0]).default
        self.memory.clear()
        self._allow((args, kwargs), True)
        try:
            with _Allocations(self):  # straight to the kernel: so the mode sees what that calls
                return func._op_dk(torch._C.DispatchKey.CPU, *args, **kwargs or {})
        except RuntimeError:
            if self.error is not None:
                raise self.error from None
            raise

    def _allow(self, values: object, defined: bool) -> None:
        for tensor in pytree.tree_leaves(values):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.memory.note(storage.data_ptr(), storage.nbytes(), defined)

    def _run(self, launch: "ctypes._Pointer[_Launch]") -> int:
        try:
            each = launch.contents
            arguments = [ctypes.string_at(each.arguments[i], each.sizes[i]) for i in range(each.argument_count)]
            name = self.names[each.kernel - ctypes.cast(self.library.simulate_size, ctypes.c_void_p).value]
            shape = (each.blocks, each.threads, each.dynamic_bytes, bool(each.together))
            self.machine.launch(compiled_kernels()[name], *shape, arguments)
        except Exception as error:
            self.error = error
            return 1
        return 0

    def _wait(self) -> None:
        self.waits += 1


class _Allocations(TorchDispatchMode):
    """What torch allocates for an operator is memory that its kernels may touch."""

    def __init__(self, owner: OnPtx):
        super().__init__()
        self.owner = owner

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        alias = [each.alias_info for each in func._schema.returns]
        if not any(each is not None and not each.is_write for each in alias):  # a view is known already
            self.owner._allow(result, "empty" not in func.__name__)
        return result


class _Launch(ctypes.Structure):
    _fields_ = [
        ("kernel", ctypes.c_void_p), ("blocks", ctypes.c_int64), ("threads", ctypes.c_int64),
        ("dynamic_bytes", ctypes.c_int64), ("together", ctypes.c_int64), ("argument_count", ctypes.c_int64),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)), ("sizes", ctypes.POINTER(ctypes.c_size_t)),
    ]  # fmt: skip


_RUN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Launch))
_MEMORY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)
_WAIT = ctypes.CFUNCTYPE(None)


class _Elsewhere(ctypes.Structure):
    _fields_ = [("run", _RUN), ("memory", _MEMORY), ("wait", _WAIT)]


@functools.cache
def compiled_kernels() -> dict[str, Kernel]:
    """The kernels of csrc/cuda, by name."""
    kernels = {}
    for source in sorted((SOURCES / "cuda").glob("*.cu")):
        storages = STORAGES if source.stem.endswith("_kernel") else ("",)
        if not source.stem.endswith(LEFT_OUT):
            for storage in storages:
                found = read_kernels(compile_file(str(source.relative_to(ROOT)), storage))
                kernels |= dict(zip(_plain(kernel.name for kernel in found), found, strict=True))
    return kernels


def compile_file(name: str, storage: str = "") -> str:
    """The PTX of a file, for a type of embeddings; it is kept in the build folder until a source changes."""
    sources = [ROOT / name, *(path for path in SOURCES.rglob("*") if path.suffix in (".h", ".inl"))]
    target = BUILD.parent / "ptx" / f"{Path(name).stem}{storage.replace('c10::', '_')}.ptx"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        include = Path(torch.__file__).parent / "include"
        flags = ["-std=c++20", "-O3", f"-arch={ARCHITECTURE}", "--expt-relaxed-constexpr", "-ptx", f"-I{SOURCES}"]
        flags += ["-isystem", include, "-DTORCH_TARGET_VERSION=0x020a000000000000", "-o", target, ROOT / name]
        flags += [f"-DEMBEDSEG_STORAGE={storage}"] if storage else []
        environment = {**os.environ, "PATH": PATH}
        done = subprocess.run(["nvcc", *map(str, flags)], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    return target.read_text()


def _function_names(library: Path) -> dict[int, str]:
    """The functions of a library by their address, seen from `simulate_size`."""
    lines = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split() for line in lines if re.search(r" [tTW] ", line)]
    [start] = [int(address, 16) for address, _, name in symbols if name == "simulate_size"]
    return dict(zip((int(s[0], 16) - start for s in symbols), _plain(s[2] for s in symbols), strict=True))


def _plain(names: Iterable[str]) -> list[str]:
    """Names as one reads them, the same from nvcc and from other compilers."""
    text = subprocess.run(["c++filt"], input="\n".join(names), check=True, capture_output=True, text=True).stdout
    return re.sub(r"_GLOBAL__N__\w+?(?=::)", "(anonymous namespace)", text).splitlines()
