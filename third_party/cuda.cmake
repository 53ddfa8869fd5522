# Adds csrc/cuda/*.cu to _C when nvcc is there; says loudly when it is not.
set(cuda_found OFF)
if(NOT EMBEDSEG_CUDA STREQUAL OFF)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(cuda_found ON)
  endif()
endif()

set(cuda_architectures "${EMBEDSEG_CUDA_ARCHITECTURES}")
if(cuda_architectures STREQUAL RELEASE)
  set(cuda_architectures 80-real 86-real 89-real 90-real 100-real 120) # 120 without -real adds PTX for newer ones
elseif(NOT cuda_architectures)
  execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE no_gpu OUTPUT_QUIET ERROR_QUIET)
  set(cuda_architectures native)
  if(no_gpu)
    set(cuda_architectures 80)
  endif()
endif()

if(cuda_found)
  enable_language(CUDA)
  set_target_properties(_C PROPERTIES CUDA_ARCHITECTURES "${cuda_architectures}"
    CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/cuda/*.cu)
  target_sources(_C PRIVATE ${cuda_sources})
  target_compile_definitions(_C PRIVATE EMBEDSEG_WITH_CUDA EMBEDSEG_CUDA_VERSION="${CMAKE_CUDA_COMPILER_VERSION}")
  target_compile_options(_C PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror -Werror=all-warnings --expt-relaxed-constexpr>)
  target_include_directories(_C SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
elseif(EMBEDSEG_CUDA STREQUAL ON)
  message(FATAL_ERROR "EMBEDSEG_CUDA=ON, but no nvcc was found: put it on the PATH or set CUDACXX")
elseif(EMBEDSEG_CUDA STREQUAL AUTO)
  message(WARNING "embedseg_ops: no nvcc found, so THIS BUILD HAS NO CUDA KERNELS. "
                  "Put nvcc on the PATH and build again, or set EMBEDSEG_CUDA=OFF to say that this is intended.")
endif()
