#!/usr/bin/env bash
# usage: compilers.sh PYTHON headers|clang|aarch64
#   headers  every header compiles alone, as an editor sees it; CUDA's with the simulator in place of CUDA
#   clang    the library builds with clang: $CLANG, or clang++
#   aarch64  gcc for aarch64 compiles all that is not CUDA: $AARCH64, or aarch64-linux-gnu-g++
set -euo pipefail
python=$1
flags=(-std=c++20 -fvisibility=hidden -Wall -Wextra -Werror -Wno-psabi -Icsrc -DTORCH_TARGET_VERSION=0x020a000000000000
  '-DEMBEDSEG_TORCH_VERSION=""'
  -isystem "$("$python" -c "import torch, pathlib; print(pathlib.Path(torch.__file__).parent)")/include")
each_file() { xargs -P "$(nproc)" -I{} "$@"; }
case $2 in
  headers)
    git ls-files 'csrc/*.h' ':!csrc/cuda/launch.h' ':!csrc/include' | # the latter is for programs with all of torch
      each_file g++ -Itests/cuda_on_cpu "${flags[@]}" -Wno-unknown-pragmas -fsyntax-only -x c++ -include {} /dev/null
    ;;
  clang)
    PATH="$(dirname "$python"):$PATH"
    cmake -S . -B build/clang -G Ninja -DCMAKE_CXX_COMPILER="${CLANG:-clang++}" -DEMBEDSEG_CUDA=OFF \
      -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" > /dev/null
    ninja -C build/clang --quiet
    ;;
  aarch64)
    git ls-files 'csrc/*.cpp' |
      each_file "${AARCH64:-aarch64-linux-gnu-g++}" "${flags[@]}" -O2 -c -o /dev/null {}
    ;;
esac
