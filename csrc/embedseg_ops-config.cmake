# find_package(embedseg_ops): the target embedseg_ops::embedseg_ops, which brings LibTorch along. See docs/cpp.md.
include(CMakeFindDependencyMacro)
find_dependency(Torch)
include(${CMAKE_CURRENT_LIST_DIR}/embedseg_ops-targets.cmake)
target_link_libraries(embedseg_ops::embedseg_ops INTERFACE ${TORCH_LIBRARIES})
