# Kernels are files that are compiled several times, each time after another definition: for every instruction set on
# the CPU, for every storage type on CUDA. Lists in `variable` a generated source for each definition and file.
function(embedseg_variants variable definitions)
  set(sources "")
  foreach(file IN LISTS ARGN)
    cmake_path(GET file FILENAME name)
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
    foreach(definition IN LISTS definitions)
      string(MAKE_C_IDENTIFIER "${definition}" folder)
      set(source ${CMAKE_CURRENT_BINARY_DIR}/variants/${folder}/${name})
      file(CONFIGURE OUTPUT ${source} CONTENT "#define ${definition}\n#include \"${file}\"\n")
      list(APPEND sources ${source})
    endforeach()
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()

set(embedseg_instruction_sets EMBEDSEG_FOR_BASELINE)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  list(APPEND embedseg_instruction_sets EMBEDSEG_FOR_AVX2 EMBEDSEG_FOR_AVX512)
endif()
set(embedseg_storage_types "EMBEDSEG_STORAGE float" "EMBEDSEG_STORAGE double" "EMBEDSEG_STORAGE c10::Half"
                           "EMBEDSEG_STORAGE c10::BFloat16")
