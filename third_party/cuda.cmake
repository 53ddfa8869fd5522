# Adds csrc/cuda/*.cu to embedseg_ops when nvcc is there; says loudly when it is not.
set(cuda_found OFF)
if(NOT EMBEDSEG_CUDA STREQUAL OFF)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(cuda_found ON)
  endif()
endif()

include(${CMAKE_CURRENT_LIST_DIR}/architectures.cmake)
if(cuda_found AND cuda_too_old)
  set(why "compute capability 8.0 is the least that the kernels support, and this is ${cuda_too_old} (8.0 is 80)")
  if(EMBEDSEG_CUDA STREQUAL ON)
    message(FATAL_ERROR "EMBEDSEG_CUDA=ON, but ${why}")
  endif()
  message(WARNING "embedseg_ops: ${why}: THIS BUILD HAS NO CUDA KERNELS, everything runs on the CPU. "
                  "Set EMBEDSEG_CUDA_ARCHITECTURES to build for a newer GPU.")
  set(cuda_found OFF)
  set(EMBEDSEG_CUDA OFF)
endif()

if(cuda_found)
  enable_language(CUDA)
  set_target_properties(embedseg_ops PROPERTIES CUDA_ARCHITECTURES "${cuda_architectures}"
    CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/cuda/*.cu)
  file(GLOB cuda_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/cuda/*_kernel.cu)
  list(REMOVE_ITEM cuda_sources ${cuda_kernels})
  embedseg_variants(compiled_cuda_kernels "${embedseg_storage_types}" ${cuda_kernels})
  target_sources(embedseg_ops PRIVATE ${cuda_sources} ${compiled_cuda_kernels})
  set_source_files_properties(csrc/build_info.cpp PROPERTIES COMPILE_DEFINITIONS
    EMBEDSEG_CUDA_VERSION="${CMAKE_CUDA_COMPILER_VERSION}")
  target_compile_options(embedseg_ops PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror -Werror=all-warnings --expt-relaxed-constexpr>)
  target_include_directories(embedseg_ops SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
elseif(EMBEDSEG_CUDA STREQUAL ON)
  message(FATAL_ERROR "EMBEDSEG_CUDA=ON, but no nvcc was found: put it on the PATH or set CUDACXX")
elseif(EMBEDSEG_CUDA STREQUAL AUTO)
  message(WARNING "embedseg_ops: no nvcc found, so THIS BUILD HAS NO CUDA KERNELS. "
                  "Put nvcc on the PATH and build again, or set EMBEDSEG_CUDA=OFF to say that this is intended.")
endif()
