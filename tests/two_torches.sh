#!/usr/bin/env bash
# usage: two_torches.sh PYTHON OLD NEW: builds a wheel on each version of torch, and tests both wheels on both.
# Where torch comes with CUDA packages, as 2.10.0 does on PyPI, this downloads gigabytes.
set -euo pipefail
python=$1 here=$PWD work=$PWD/build/two-torches
mkdir -p "$work"
shift
for torch in "$@"; do
  [ -d "$work/$torch" ] || "$python" -m venv "$work/$torch"
  bin=$work/$torch/bin
  "$bin/pip" install --quiet "torch==$torch" scikit-build-core cmake ninja numpy scipy scikit-image pytest \
    hypothesis expecttest safetensors tifffile tqdm
  "$bin/pip" wheel --quiet --no-build-isolation --no-deps -w "$work/wheel-$torch" "$here"
done
for torch in "$@"; do
  for built in "$@"; do
    "$work/$torch/bin/pip" install --quiet --force-reinstall --no-deps "$work/wheel-$built"/*.whl
    echo "built on torch $built, running on torch $torch"
    "$work/$torch/bin/python" -m pytest -q -p no:cacheprovider
  done
done
