# The device "cuda": which half of the seam is built, and how .cu files are compiled.

add_library(warptape_gpu_interface INTERFACE)  # what users of our headers need
add_library(warptape_gpu_own_flags INTERFACE)  # what our own targets have beside
set(WARPTAPE_GPU_CORE_PATTERNS "")
set(WARPTAPE_GPU_CORE_USES "")

# warptape_write_build_headers(FOLDER HAS_GPU MACROS...) writes what a build has of a GPU (WARPTAPE_GPU):
# FOLDER/core/device/has_gpu.h defines WARPTAPE_HAS_GPU, and FOLDER/core/simt/build.h MACROS ("NAME VALUE").
# Headers, not options of the compiler: files that do not include them compile to the same in all presets,
# those that include the first alone in all that have a GPU, which ccache then sees without looking into
# them. Every build has both at the same place: ccache does not notice a header that another build would
# find first.
function(warptape_write_build_headers folder has_gpu)
  set(text "#pragma once\n// Whether this build has a device cuda (WARPTAPE_GPU). Who asks includes this.\n\n")
  string(APPEND text "#define WARPTAPE_HAS_GPU ${has_gpu}\n")
  file(CONFIGURE OUTPUT ${folder}/core/device/has_gpu.h CONTENT "${text}" @ONLY)
  set(text "#pragma once\n// What device cuda is in this build (WARPTAPE_GPU). Who asks for one of these includes this.\n\n")
  foreach(macro ${ARGN})
    string(APPEND text "#define ${macro}\n")
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/core/simt/build.h CONTENT "${text}" @ONLY)
endfunction()
set(WARPTAPE_BUILD_MACROS "")
set(WARPTAPE_BUILD_HAS_GPU 1)
set(WARPTAPE_SIMT_KERNEL_OPTIONS -x c++ -Wno-unknown-pragmas)
if(WARPTAPE_GPU STREQUAL "simt")
  set(WARPTAPE_GPU_CORE_PATTERNS core/*.cu core/device/gpu/*.cpp emulator/device/*.cpp)
  set(WARPTAPE_GPU_CORE_USES warptape_engine)
  list(APPEND WARPTAPE_BUILD_MACROS "WARPTAPE_SIMT 1")
  # What emulated threads run, whatever the rest of the build has: -O3 takes half as long again to compile.
  set(WARPTAPE_SIMT_UNWATCHED_OPTIONS ${WARPTAPE_SIMT_KERNEL_OPTIONS} -O1)
  if(WARPTAPE_SANITIZE STREQUAL "address")
    # Those of tests as well, whose other files nobody watches. Optimised they compile in twice the time.
    list(APPEND WARPTAPE_SIMT_KERNEL_OPTIONS -O0 -g1 -fsanitize=address ${WARPTAPE_UNDEFINED} -fsanitize=alignment
                                             -fno-sanitize-recover=all)
  elseif(WARPTAPE_SANITIZE STREQUAL "thread")
    list(APPEND WARPTAPE_SIMT_KERNEL_OPTIONS -O1 -g1 -fsanitize=thread)
  elseif(NOT WARPTAPE_SIMT_PROFILE)
    set(WARPTAPE_SIMT_KERNEL_OPTIONS ${WARPTAPE_SIMT_UNWATCHED_OPTIONS})
  endif()
  if(WARPTAPE_SIMT_PROFILE)
    # The kernels call emulator/profile/tsan_hooks.cpp at each access; ThreadSanitizer itself is
    # not linked. Lines and functions are what is asked of an address (source_lines.h). These are the
    # options of preset simt-tsan, whose files of kernels are the same (ccache).
    list(APPEND WARPTAPE_SIMT_KERNEL_OPTIONS -O1 -g1 -fsanitize=thread)
    list(APPEND WARPTAPE_BUILD_MACROS "WARPTAPE_SIMT_PROFILE 1")
    target_link_libraries(warptape_gpu_interface INTERFACE ${CMAKE_DL_LIBS})
    include(warptape_ptxas)
  endif()
elseif(WARPTAPE_GPU STREQUAL "cuda")
  include(warptape_cuda)
  set(WARPTAPE_GPU_CORE_PATTERNS core/*.cu core/device/gpu/*.cpp core/device/cuda/*.cpp)
else()
  set(WARPTAPE_BUILD_HAS_GPU 0)
endif()
warptape_write_build_headers(${WARPTAPE_GENERATED} ${WARPTAPE_BUILD_HAS_GPU} ${WARPTAPE_BUILD_MACROS})
# What functions need that are called from folders of other projects.
set_property(GLOBAL PROPERTY WARPTAPE_PACKAGE_GPU ${WARPTAPE_GPU})
set_property(GLOBAL PROPERTY WARPTAPE_PACKAGE_KERNEL_OPTIONS "${WARPTAPE_SIMT_KERNEL_OPTIONS}")
include(warptape_gpu_libraries)

# warptape_add_engine(NAME DEFINITIONS...) makes a library of the SIMT engine. ThreadSanitizer watches
# the kernels' threads, not the engine that switches between them: that is compiled without it, and
# loops of its own must not become calls of memset, which would be seen.
function(warptape_add_engine name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/emulator/engine/*.cpp)
  if(WARPTAPE_SIMT_PROFILE)
    file(GLOB profile CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/emulator/profile/*.cpp)
    list(APPEND sources ${profile})
  endif()
  # Errors, which escape what is no UTF-8, are all that the engine takes from the rest of core; its
  # tests link nothing else of it.
  add_library(${name} STATIC ${sources} ${PROJECT_SOURCE_DIR}/core/error.cpp
                             ${PROJECT_SOURCE_DIR}/core/utf8.cpp)
  target_link_libraries(${name} PUBLIC warptape_interface)
  warptape_own_target(${name})
  target_compile_definitions(${name} PRIVATE ${ARGN})
  set_target_properties(${name} PROPERTIES WARPTAPE_OPTIMISED ON)
  if(WARPTAPE_SANITIZE STREQUAL "address")
    target_compile_options(${name} PRIVATE -O1)
  elseif(WARPTAPE_SANITIZE STREQUAL "thread")
    target_compile_definitions(${name} PRIVATE WARPTAPE_SIMT_TSAN=1)
    # Optimised, as small functions of the library's that are not inlined may be those of files that are watched.
    set(options -O1 -fno-sanitize=thread $<$<CXX_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns>)
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${options}")
  endif()
endfunction()

# For the memory profile, ptxas reports on these .cu files: half of that preset's build.
set(WARPTAPE_PTXAS_REPORTS all CACHE STRING
    "Under simt-profile: ptxas reports on these .cu files, by name without folder and ending; or on all")
function(warptape_profiled_sources)
  if(NOT WARPTAPE_SIMT_PROFILE)
    return()
  endif()
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    if(NOT WARPTAPE_PTXAS_REPORTS STREQUAL "all" AND NOT name IN_LIST WARPTAPE_PTXAS_REPORTS)
      continue()
    endif()
    warptape_ptxas_report(${name} ${file})
  endforeach()
endfunction()
