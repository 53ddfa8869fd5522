#!/usr/bin/env bash
# usage: gpu.sh PYTHON: on a machine with a GPU and an installed build with CUDA: all tests on the GPU, compute-sanitizer
# on the small ones, then the benchmark, into benchmarks/results/<device>-<date>.json.
set -euo pipefail
python=$1
"$python" - << 'CHECK'
import torch, embedseg_ops
info = embedseg_ops.build_info()
assert info["cuda"], "this build has no CUDA kernels: nvcc was not found"
assert torch.cuda.is_available(), "no GPU that torch can use"
print(torch.cuda.get_device_name(), info)
CHECK
"$python" -m pytest -q
small=(-q -p no:cacheprovider -k "gpu and (2d or 3d or empty or ties or any_strides)"
  tests/test_{mean_embedding,embedding_loss,neighbor_pairs,distance_map,connected_components,propagate,postprocess,remove_small,trim}.py)
for tool in memcheck racecheck; do
  compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 1 "$python" -m pytest "${small[@]}"
done
device=$("$python" -c "import torch; print(torch.cuda.get_device_name().lower().replace(' ', '-'))")
"$python" -m benchmarks.cuda --json "benchmarks/results/$device-$(date +%F).json"
