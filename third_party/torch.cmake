# torch_stable: the headers and libraries of the installed torch, restricted to the LibTorch Stable ABI. Another torch than
# Python's, as of another system: -DEMBEDSEG_TORCH_ROOT=FOLDER, the one with include/ and lib/.
if(NOT EMBEDSEG_TORCH_ROOT)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import pathlib, torch; print(pathlib.Path(torch.__file__).parent.as_posix())"
    OUTPUT_VARIABLE EMBEDSEG_TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
file(STRINGS ${EMBEDSEG_TORCH_ROOT}/version.py EMBEDSEG_TORCH_VERSION REGEX "^__version__")
string(REGEX REPLACE ".*'(.*)'.*" "\\1" EMBEDSEG_TORCH_VERSION "${EMBEDSEG_TORCH_VERSION}")
message(STATUS "Building against torch ${EMBEDSEG_TORCH_VERSION}, for torch 2.10 and newer")

add_library(torch_stable INTERFACE)
target_include_directories(torch_stable SYSTEM INTERFACE ${EMBEDSEG_TORCH_ROOT}/include)
target_compile_definitions(torch_stable INTERFACE
  TORCH_TARGET_VERSION=0x020a000000000000 EMBEDSEG_TORCH_VERSION="${EMBEDSEG_TORCH_VERSION}")
if(WIN32)
  target_link_libraries(torch_stable INTERFACE ${EMBEDSEG_TORCH_ROOT}/lib/torch_cpu.lib)
elseif(APPLE)
  target_link_libraries(torch_stable INTERFACE ${EMBEDSEG_TORCH_ROOT}/lib/libtorch_cpu.dylib)
else()
  # All of libtorch.so, not only libtorch_cpu.so: on a CUDA torch it brings the weak CUDA stream symbol in.
  target_link_libraries(torch_stable INTERFACE -Wl,--no-as-needed ${EMBEDSEG_TORCH_ROOT}/lib/libtorch.so
                                               -Wl,--as-needed ${EMBEDSEG_TORCH_ROOT}/lib/libtorch_cpu.so)
endif()
