#!/usr/bin/env bash
# usage: sanitize.sh PYTHON BUILD: builds the library, and the CUDA kernels for the CPU, under AddressSanitizer and UBSan,
# and runs the operators' tests on them.
set -euo pipefail
python=$1 build=$2
"$python" -m pip install --quiet "pytest>=8" "hypothesis>=6" expecttest
PATH="$(dirname "$python"):$PATH" cmake -S . -B "$build" -G Ninja -DEMBEDSEG_SANITIZE=ON -DCMAKE_CXX_FLAGS_RELEASE=-O1 \
  -DEMBEDSEG_CUDA=OFF -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" \
  > "$build.log" 2>&1 || { cat "$build.log"; exit 1; }
PATH="$(dirname "$python"):$PATH" ninja -C "$build" --quiet
rm -rf "$build/package" && mkdir -p "$build/package"
cp -r python/embedseg_ops "$build/package/"
cp "$build/libembedseg_ops.so" "$build/package/embedseg_ops/"
# Leaks are not looked for: the interpreter and torch never free what they keep for good.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0 PYTHONPATH="$build/package" \
  EMBEDSEG_CUDA_ON_CPU_BUILD="$PWD/$build/cuda_on_cpu" EMBEDSEG_CUDA_ON_CPU_CMAKE=-DEMBEDSEG_SANITIZE=ON \
  "$python" -m pytest -q -p no:cacheprovider -k "not compile and not export and not opcheck and not without_barriers" \
  tests/test_{mean_embedding,embedding_loss,neighbor_pairs,distance_map,connected_components,propagate,postprocess,remove_small,trim,cuda_sources}.py
