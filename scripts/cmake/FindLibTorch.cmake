# Finds LibTorch: the target LibTorch::LibTorch. Torch_DIR or CMAKE_PREFIX_PATH say where it is.
#
# Torch's include folder also holds protobuf 3.13 and fmt 12 headers, and its package file sets
# variables and flags as it likes. So it is read inside a function, only targets that link
# LibTorch::LibTorch see any of it, and those use its fmt headers without the system's fmt library.
function(find_torch)
  set(CMAKE_MESSAGE_LOG_LEVEL ERROR)  # it warns about static libraries that are not needed
  find_package(Torch QUIET CONFIG)
  if(TARGET caffe2::mkl)  # MKL is inside LibTorch; these would only end up in run paths
    set_property(TARGET caffe2::mkl PROPERTY INTERFACE_LINK_DIRECTORIES "")
  endif()
  set(LibTorch_DIR ${Torch_DIR} PARENT_SCOPE)
  set(LibTorch_VERSION ${Torch_VERSION} PARENT_SCOPE)
endfunction()
find_torch()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/setup, or set Torch_DIR to the folder of TorchConfig.cmake.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED GLOBAL)
  target_link_libraries(LibTorch::LibTorch INTERFACE torch)
  target_compile_definitions(LibTorch::LibTorch INTERFACE FMT_HEADER_ONLY=1)
endif()
