# torch_stable: the headers and libraries of the installed torch, restricted to the LibTorch Stable ABI.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import torch, pathlib; print(pathlib.Path(torch.__file__).parent, torch.__version__)"
  OUTPUT_VARIABLE torch_location OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE " " ";" torch_location "${torch_location}")
list(GET torch_location 0 torch_root)
list(GET torch_location 1 EMBEDSEG_TORCH_VERSION)
message(STATUS "Building against torch ${EMBEDSEG_TORCH_VERSION}, for torch 2.10 and newer")

add_library(torch_stable INTERFACE)
target_include_directories(torch_stable SYSTEM INTERFACE ${torch_root}/include)
target_compile_definitions(torch_stable INTERFACE
  TORCH_TARGET_VERSION=0x020a000000000000 EMBEDSEG_TORCH_VERSION="${EMBEDSEG_TORCH_VERSION}")
# All of libtorch.so, not only libtorch_cpu.so: on a CUDA torch it brings the weak CUDA stream symbol in.
target_link_libraries(torch_stable INTERFACE
  -Wl,--no-as-needed ${torch_root}/lib/libtorch.so -Wl,--as-needed ${torch_root}/lib/libtorch_cpu.so)
