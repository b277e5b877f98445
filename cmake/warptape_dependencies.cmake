# The libraries that Warptape stands on; docs/dependencies.md says why each.

find_package(Threads REQUIRED)
# ThreadSanitizer takes libgomp's way of waiting for races: there parallel_for runs on one thread.
if(NOT WARPTAPE_SANITIZE STREQUAL "thread")
  find_package(OpenMP COMPONENTS CXX)
endif()
foreach(package fmt nlohmann_json CLI11)
  find_package(${package} CONFIG QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found: run tools/setup.sh, which installs what is missing")
  endif()
endforeach()

set(WARPTAPE_WITH_ONEDNN OFF)
if(WARPTAPE_ONEDNN)
  find_package(dnnl 3 CONFIG QUIET HINTS ${PROJECT_SOURCE_DIR}/.deps/venv)
  if(dnnl_FOUND)
    set(WARPTAPE_WITH_ONEDNN ON)
    message(STATUS "CPU backend: oneDNN ${dnnl_VERSION} (${dnnl_DIR})")
  endif()
endif()
if(NOT WARPTAPE_WITH_ONEDNN)
  message(STATUS "CPU backend: without oneDNN 3 the reference loops serve, many times slower "
                 "(tools/setup.sh installs it)")
endif()
