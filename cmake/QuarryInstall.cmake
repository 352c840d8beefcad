# What `cmake --install` puts in place: the library, the public headers, and the
# package files that make find_package(Quarry CONFIG) work.

include(CMakePackageConfigHelpers)

set(quarry_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Quarry)

install(TARGETS quarry EXPORT QuarryTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY format/include/quarry engine/include/quarry
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(EXPORT QuarryTargets NAMESPACE Quarry:: DESTINATION ${quarry_package_dir})

# A static library leaves it to its users to link what it needs.
get_target_property(quarry_type quarry TYPE)
if(quarry_type STREQUAL "STATIC_LIBRARY")
  set(QUARRY_IS_STATIC ON)
else()
  set(QUARRY_IS_STATIC OFF)
endif()
configure_package_config_file(
  cmake/QuarryConfig.cmake.in ${PROJECT_BINARY_DIR}/QuarryConfig.cmake
  INSTALL_DESTINATION ${quarry_package_dir})
# Before 1.0 every minor version may break what came before.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/QuarryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/QuarryConfig.cmake ${PROJECT_BINARY_DIR}/QuarryConfigVersion.cmake
  DESTINATION ${quarry_package_dir})
