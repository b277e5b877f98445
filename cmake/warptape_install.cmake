# `cmake --install` gives the headers, the libraries, the CMake package and the program:
#   include/warptape, lib/*.a, lib/cmake/warptape, bin/warptape, share/warptape/data
# and in lib/warptape the oneDNN that the build found, unless the system brings it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/warptape)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/warptape)

set(rooms core kernels layers models training)
set(libraries interface gpu_interface core kernels layers models training library)
if(WARPTAPE_GPU STREQUAL "simt")
  list(APPEND rooms emulator)
  list(APPEND libraries engine)
endif()
list(TRANSFORM libraries PREPEND warptape_)
foreach(library ${libraries} warptape_testing)
  if(TARGET ${library})
    string(REGEX REPLACE "^warptape_" "" name ${library})
    set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
  endif()
endforeach()
set_target_properties(warptape_library PROPERTIES EXPORT_NAME warptape)

# Kernels of other projects include .cuh files.
install(DIRECTORY ${rooms} DESTINATION ${headers} FILES_MATCHING PATTERN "*.h" PATTERN "*.cuh")
install(FILES warptape.h DESTINATION ${headers})
install(FILES ${WARPTAPE_GENERATED}/kernels/ops.h DESTINATION ${headers}/kernels)
install(FILES ${WARPTAPE_GENERATED}/core/simt/build.h DESTINATION ${headers}/core/simt)
install(FILES ${WARPTAPE_GENERATED}/core/device/has_gpu.h DESTINATION ${headers}/core/device)
target_include_directories(warptape_interface INTERFACE $<INSTALL_INTERFACE:${headers}>)

install(TARGETS ${libraries} EXPORT warptapeTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT warptapeTargets NAMESPACE warptape:: DESTINATION ${package})
if(WARPTAPE_TESTING AND NOT WARPTAPE_SIMT_PROFILE)
  install(TARGETS warptape_testing EXPORT warptapeTestingTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT warptapeTestingTargets NAMESPACE warptape:: DESTINATION ${package})
endif()

# The loader finds a system's oneDNN; any other is copied beside our libraries, so that nothing asks for
# the folder where the build had found it.
set(onednn_file "")
if(WARPTAPE_WITH_ONEDNN)
  target_link_libraries(warptape_kernels INTERFACE $<INSTALL_INTERFACE:$<LINK_ONLY:warptape::onednn>>)
  foreach(property IMPORTED_LOCATION_RELEASE IMPORTED_LOCATION_NONE IMPORTED_LOCATION)
    get_target_property(location DNNL::dnnl ${property})
    if(location)
      break()
    endif()
  endforeach()
  get_filename_component(folder "${location}" DIRECTORY)
  if(location MATCHES "\\.so" AND NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    set(onednn_file libdnnl.so.3)
    get_filename_component(location ${location} REALPATH)
    install(FILES ${location} DESTINATION ${CMAKE_INSTALL_LIBDIR}/warptape RENAME ${onednn_file}
            PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  endif()
endif()

set(modules ops)
if(WARPTAPE_GPU STREQUAL "cuda")
  list(APPEND modules cuda_toolkit cuda_language)
endif()
foreach(module ${modules})
  install(FILES cmake/warptape_${module}.cmake DESTINATION ${package})
endforeach()
configure_package_config_file(cmake/warptapeConfig.cmake.in ${PROJECT_BINARY_DIR}/warptapeConfig.cmake
                              INSTALL_DESTINATION ${package} PATH_VARS CMAKE_INSTALL_LIBDIR)
# Before 1.0 a minor release may change anything.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/warptapeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/warptapeConfig.cmake ${PROJECT_BINARY_DIR}/warptapeConfigVersion.cmake
        DESTINATION ${package})

if(WARPTAPE_PROGRAM AND NOT WARPTAPE_SANITIZE MATCHES "^(address|thread)$")
  file(RELATIVE_PATH libraries_from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR}/warptape)
  set_target_properties(warptape PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries_from_bin}")
  install(TARGETS warptape RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY data DESTINATION ${CMAKE_INSTALL_DATADIR}/warptape)
endif()
