#!/usr/bin/env bash
# usage: registers.sh [ARCHITECTURE] [FILE...]: what ptxas says of every kernel, 90 by default: registers and spills. An
# error if a kernel that is specialised for a number of channels spills.
set -euo pipefail
architecture=${1:-90}
shift || true
files=("$@")
[ ${#files[@]} -gt 0 ] || files=(csrc/cuda/*.cu)
torch=$("${PYTHON:-python3}" -c "import torch, pathlib; print(pathlib.Path(torch.__file__).parent)")
kernels=$(for file in "${files[@]}"; do
  types=(float)
  [[ $file != *_kernel.cu ]] || types=(float double c10::Half c10::BFloat16)
  for type in "${types[@]}"; do
    nvcc -std=c++20 -O3 "-arch=sm_$architecture" --expt-relaxed-constexpr -Xptxas -v -cubin -o /dev/null -Icsrc \
      -isystem "$torch/include" -DTORCH_TARGET_VERSION=0x020a000000000000 "-DEMBEDSEG_STORAGE=$type" "$file" 2>&1 |
      grep -E "Compiling entry|spill|Used" | paste - - - |
      sed -E "s/.*function '([^']*)'.*frame, ([0-9]+) bytes spill stores.*Used ([0-9]+) registers.*/\3 registers, \2 bytes spilled: \1/" |
      c++filt | sed -E "s/embedseg::|\(anonymous namespace\)::|c10::|void |_GLOBAL__N__[0-9a-z_]*:://g; s/\(.*//"
  done
done)
echo "$kernels"
! grep -E "(sum|gradient)_kernel" <<< "$kernels" | grep -v " 0 bytes spilled"
