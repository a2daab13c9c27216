# Two forms of the same files. `cmake --install` (component sdk): include/, lib/ and bin/, found by
# find_package(carnot). `pip install .` (component wheel): the folder carnot/ of the wheel with
# lib/, bin/ and shim/ in it, and what they need of fmt.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(CARNOT_CONFIG "${CMAKE_INSTALL_LIBDIR}/cmake/carnot")

foreach(library IN ITEMS carnot_runtime carnot)
  string(REGEX REPLACE "^carnot_" "" name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${library} EXPORT carnot COMPONENT sdk
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sdk
    INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
endforeach()
set_target_properties(carnot_cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN/../lib")
set_target_properties(carnot_cudart PROPERTIES INSTALL_RPATH "$ORIGIN/..;$ORIGIN/../lib")
install(TARGETS carnot_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT sdk)
install(TARGETS carnot_cudart LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/carnot-shim" COMPONENT sdk)
install(DIRECTORY include/carnot DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT sdk)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT sdk)
install(EXPORT carnot NAMESPACE carnot:: FILE carnotConfig.cmake DESTINATION "${CARNOT_CONFIG}"
  COMPONENT sdk)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/carnotConfigVersion.cmake"
  COMPATIBILITY SameMajorVersion)
install(FILES "${CMAKE_BINARY_DIR}/carnotConfigVersion.cmake" DESTINATION "${CARNOT_CONFIG}"
  COMPONENT sdk)

# What wheels hold beside the module: every plugin there is.
add_custom_target(carnot_plugins)
if(TARGET carnot_cuda)
  add_dependencies(carnot_plugins carnot_cuda)
  set_target_properties(carnot_cuda PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS carnot_cuda LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sdk)
  install(TARGETS carnot_cuda LIBRARY DESTINATION carnot/lib COMPONENT wheel EXCLUDE_FROM_ALL)
endif()

if(TARGET _carnot)
  set_target_properties(_carnot PROPERTIES INSTALL_RPATH "$ORIGIN/carnot/lib")
  install(TARGETS _carnot LIBRARY DESTINATION . COMPONENT wheel EXCLUDE_FROM_ALL)
  # Wheels hold no links: each library once, under the name that the loader asks for.
  foreach(library IN ITEMS carnot_runtime carnot fmt::fmt)
    install(FILES $<TARGET_FILE:${library}> RENAME $<TARGET_SONAME_FILE_NAME:${library}>
      DESTINATION carnot/lib COMPONENT wheel EXCLUDE_FROM_ALL)
  endforeach()
  install(TARGETS carnot_cli RUNTIME DESTINATION carnot/bin COMPONENT wheel EXCLUDE_FROM_ALL)
  install(TARGETS carnot_cudart LIBRARY DESTINATION carnot/shim COMPONENT wheel EXCLUDE_FROM_ALL)
endif()
