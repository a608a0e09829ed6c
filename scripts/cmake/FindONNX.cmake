# Finds onnx's C++ libraries: the target ONNX::onnx, with the protobuf they were built with.
# onnx's own package file is not used: it wants a Protobuf CONFIG package, which Debian does not have.
# ONNX_ROOT says where onnx is installed.
find_package(Protobuf REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h)
find_library(ONNX_LIBRARY onnx)
find_library(ONNX_PROTO_LIBRARY onnx_proto)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ONNX
  REQUIRED_VARS ONNX_LIBRARY ONNX_PROTO_LIBRARY ONNX_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "Run scripts/setup, or set ONNX_ROOT to an installed onnx (C++).")

if(ONNX_FOUND AND NOT TARGET ONNX::onnx)
  add_library(ONNX::onnx INTERFACE IMPORTED GLOBAL)
  target_include_directories(ONNX::onnx SYSTEM INTERFACE ${ONNX_INCLUDE_DIR})
  target_compile_definitions(ONNX::onnx INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
  target_link_libraries(ONNX::onnx INTERFACE ${ONNX_LIBRARY} ${ONNX_PROTO_LIBRARY}
    protobuf::libprotobuf)
endif()
