# Chooses cuda_architectures from EMBEDSEG_CUDA_ARCHITECTURES, or from the GPUs at hand; and cuda_too_old, those below the
# least compute capability. In script mode (cmake -P) it says what it chose: tests/test_architectures.py.
set(least_capability 80) # 8.0: warps add integers in one instruction since then

set(cuda_architectures "${EMBEDSEG_CUDA_ARCHITECTURES}")
if(cuda_architectures STREQUAL RELEASE)
  # PTX of 80 and of 120, without -real, is for those that no code is named for
  set(cuda_architectures 80 86-real 89-real 90-real 100-real 120)
elseif(NOT cuda_architectures)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  RESULT_VARIABLE no_gpu OUTPUT_VARIABLE capabilities ERROR_QUIET)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]" cuda_architectures "${capabilities}")
  list(TRANSFORM cuda_architectures REPLACE "\\." "")
  list(REMOVE_DUPLICATES cuda_architectures)
  if(no_gpu OR NOT cuda_architectures)
    set(cuda_architectures ${least_capability})
  endif()
endif()

set(cuda_too_old "")
foreach(architecture IN LISTS cuda_architectures)
  string(REGEX MATCH "^[0-9]+" capability "${architecture}")
  if(capability AND capability LESS least_capability)
    list(APPEND cuda_too_old ${architecture})
  endif()
endforeach()

if(CMAKE_SCRIPT_MODE_FILE)
  message("architectures: ${cuda_architectures}, too old: ${cuda_too_old}")
endif()
