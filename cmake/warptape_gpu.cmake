# The device "cuda": which half of the seam is built, and how .cu files are compiled.

add_library(warptape_gpu_flags INTERFACE)
set(WARPTAPE_GPU_CORE_PATTERNS "")
if(WARPTAPE_GPU STREQUAL "simt")
  set(WARPTAPE_GPU_CORE_PATTERNS core/*.cu core/simt/*.cpp core/device/gpu/*.cpp core/device/emulated/*.cpp)
  target_compile_definitions(warptape_gpu_flags INTERFACE WARPTAPE_HAS_GPU=1 WARPTAPE_SIMT=1)
elseif(WARPTAPE_GPU STREQUAL "cuda")
  include(warptape_cuda)
  set(WARPTAPE_GPU_CORE_PATTERNS core/*.cu core/device/gpu/*.cpp core/device/cuda/*.cpp)
  target_compile_definitions(warptape_gpu_flags INTERFACE WARPTAPE_HAS_GPU=1)
else()
  target_compile_definitions(warptape_gpu_flags INTERFACE WARPTAPE_HAS_GPU=0)
endif()

# warptape_gpu_sources(FILES...) prepares .cu files of the calling directory: under simt they are
# compiled as C++ against the engine.
function(warptape_gpu_sources)
  if(WARPTAPE_GPU STREQUAL "simt")
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX 
                                COMPILE_OPTIONS "-x;c++;-Wno-unknown-pragmas")
  endif()
endfunction()
