# libmodelexport: all layers in one shared library, and the installation: command, library, headers and
# the package that gives `modelexport::modelexport`. Nothing of onnx, protobuf or LibTorch shows in it.
get_property(layers GLOBAL PROPERTY MODELEXPORT_LAYERS)
list(REMOVE_ITEM layers modelexport_cli)
list(JOIN layers "," layer_list)

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/library.cpp
  CONTENT "// A library target needs a source; the layers have the rest.\n")
add_library(modelexport SHARED ${PROJECT_BINARY_DIR}/library.cpp)
add_library(modelexport::modelexport ALIAS modelexport)
set_target_properties(modelexport PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,${layer_list}")
target_link_libraries(modelexport PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,${layer_list}>")
target_link_options(modelexport PRIVATE -Wl,--exclude-libs,libonnx.a -Wl,--exclude-libs,libonnx_proto.a)
target_compile_features(modelexport INTERFACE cxx_std_20)
target_include_directories(modelexport INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/modelexport>)
