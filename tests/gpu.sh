#!/usr/bin/env bash
# usage: gpu.sh PYTHON [measure | test | sanitize]: on a machine with a GPU and an installed build with CUDA; no network is
# needed. Each part takes less than ten minutes; without one, all three, in this order. Results go to $OUT (build/gpu),
# the benchmark's rows as they come.
set -uo pipefail
python=$1 part=${2:-all} out=${OUT:-build/gpu} failed=0
mkdir -p "$out"
"$python" - << 'CHECK' || exit 1
import torch, embedseg_ops
info = embedseg_ops.build_info()
assert info["cuda"], "this build has no CUDA kernels: nvcc was not found, or the GPU is too old"
assert torch.cuda.is_available(), "no GPU that torch can use"
print(torch.cuda.get_device_name(), info)
CHECK
operators=$(printf 'tests/test_%s.py ' mean_embedding embedding_loss neighbor_pairs distance_map connected_components \
  propagate postprocess remove_small trim)
# Warnings are errors for the versions that the project names; here are whatever versions there are.
pytest=("$python" -m pytest -q -p no:cacheprovider -o filterwarnings=default)

if [ "$part" = measure ] || [ "$part" = all ]; then
  timeout 550 "$python" -m benchmarks.cuda --json "$out/benchmark.json" || failed=1
fi
if [ "$part" = test ] || [ "$part" = all ]; then
  timeout 150 "${pytest[@]}" tests/test_gpu.py 2>&1 | tee "$out/gpu.log" | tail -30 || failed=1
  # shellcheck disable=SC2086
  timeout 400 "${pytest[@]}" -k "gpu and not cuda_on_cpu" $operators 2>&1 | tee "$out/operators.log" | tail -30 || failed=1
fi
if [ "$part" = sanitize ] || [ "$part" = all ]; then
  for tool in memcheck initcheck synccheck racecheck; do
    # Without torch's caching allocator: a wild write would stay inside one of its segments, where nobody sees it.
    # shellcheck disable=SC2086
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 timeout 140 compute-sanitizer --tool $tool --error-exitcode 9 \
      --log-file "$out/$tool.log" "${pytest[@]}" -x \
      -k "gpu and not cuda_on_cpu and (ties or winding or any_strides or test_empty)" $operators | tail -3 || failed=1
    grep -E "ERROR SUMMARY|Invalid|Uninit|hazard" "$out/$tool.log" | sort | uniq -c | head -5
  done
fi
exit $failed
