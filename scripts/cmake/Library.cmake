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

# modelexport::lowerings: the headers alone, for libraries that --load-lowerings loads.
add_library(modelexport_lowerings INTERFACE)
set_target_properties(modelexport_lowerings PROPERTIES EXPORT_NAME lowerings)
target_compile_features(modelexport_lowerings INTERFACE cxx_std_20)
target_include_directories(modelexport_lowerings INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/modelexport>)

install(TARGETS modelexport modelexport_lowerings EXPORT modelexportTargets)
install(TARGETS modelexport_command)
# The headers that a user of the library sees: none of them includes LibTorch, onnx or protobuf.
install(FILES exporter/export.h exporter/error.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelexport/exporter)
install(FILES exporter/frontend/live_module.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelexport/exporter/frontend)
install(FILES exporter/onnx/reader.h exporter/onnx/metadata.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelexport/exporter/onnx)
# For libraries with lowerings of their own, too: see exporter/lowering/plugin.h.
install(FILES exporter/lowering/call.h exporter/lowering/lower.h exporter/lowering/lowerings.h
  exporter/lowering/plugin.h exporter/lowering/registry.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelexport/exporter/lowering)
install(DIRECTORY exporter/program exporter/graph
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelexport/exporter FILES_MATCHING PATTERN "*.h")
install(DIRECTORY tagging analysis
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/modelexport FILES_MATCHING PATTERN "*.h")

include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/modelexport)
install(EXPORT modelexportTargets FILE modelexportConfig.cmake NAMESPACE modelexport::
  DESTINATION ${package_folder})
write_basic_package_version_file(modelexportConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/modelexportConfigVersion.cmake
  DESTINATION ${package_folder})
