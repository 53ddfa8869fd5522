"""The compiled library: loading it registers the operators with PyTorch. It knows no Python."""

import importlib.util
import sys
from pathlib import Path

import torch  # loads libtorch, which the library needs

_PACKAGE = __name__.rpartition(".")[0]
_NAME = {"win32": "embedseg_ops.dll", "darwin": "libembedseg_ops.dylib"}.get(sys.platform, "libembedseg_ops.so")


def library_path() -> Path:
    """Return the file of the compiled operators, for ``torch.ops.load_library`` or a C++ program to load."""
    importlib.util.find_spec(f"{_PACKAGE}.libembedseg_ops")  # builds it again, in an editable install
    for folder in sys.modules[_PACKAGE].__path__:  # one; in an editable install the build's comes first
        if (file := Path(folder, _NAME)).exists():
            return file
    raise ImportError(f"{_NAME} is not in {Path(__file__).parent}: install the package again, or build it there")


def cmake_prefix_path() -> str:
    """Return the folders of torch and of this package, as a C++ program's CMake wants them in CMAKE_PREFIX_PATH."""
    return f"{torch.utils.cmake_prefix_path};{library_path().parent.as_posix()}"


torch.ops.load_library(library_path())  # type: ignore[no-untyped-call]  # an error here must reach the user


def build_info() -> dict[str, object]:
    """Tell what this installation was built with and which instruction set it uses.

    Returns:
        ``torch``: the torch version whose headers it was built with; ``simd``: ``"avx512"``, ``"avx2"`` or ``"plain"``;
        ``cuda``: the version of nvcc, None for a CPU-only build; ``cuda_runtime``: the version of the CUDA runtime
        inside, 0 without; ``cuda_stream``: whether the installed torch can run CUDA.
    """
    operator = torch.ops.embedseg_ops.build_info.default
    return {result.name: value for result, value in zip(operator._schema.returns, operator(), strict=True)}
