# Device cuda on the CUDA runtime: the toolkit, and the flags of .cu files (WARPTAPE_GPU=cuda).

include(warptape_cuda_toolkit)
warptape_find_cuda_toolkit()
if(NOT DEFINED WARPTAPE_CUDA_CONFIGURED_ROOT)
  set(WARPTAPE_CUDA_CONFIGURED_ROOT "${WARPTAPE_CUDA_NAMED_ROOT}" CACHE INTERNAL "")
endif()
message(STATUS "CUDA: ${WARPTAPE_CUDA_VERSION} in ${WARPTAPE_CUDA_TOP}")

# Machine code for each generation that differs, and PTX of the newest for what comes after. 80 runs
# on 86 and 89 too.
set(WARPTAPE_CUDA_ARCHITECTURES "80-real;90-real;100-real;120" CACHE STRING
    "Architectures of the kernels, as in CMAKE_CUDA_ARCHITECTURES")
include(warptape_cuda_language)

# The runtime is linked by its full path, by whatever links Warptape, and libcuda never: a program
# starts on a machine without a driver and says so.
target_link_libraries(warptape_gpu_interface INTERFACE $<BUILD_INTERFACE:${WARPTAPE_CUDA_RUNTIME}>
                                                       $<INSTALL_INTERFACE:warptape::cuda_runtime>
                                                       Threads::Threads ${CMAKE_DL_LIBS} rt)
# For host files that include cuda_runtime_api.h; nvcc finds its own.
target_include_directories(warptape_gpu_interface SYSTEM INTERFACE
                           $<BUILD_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:${WARPTAPE_CUDA_INCLUDE}>>)

# CUPTI, by which `warptape profile` times kernels: its header here, its library while the program runs.
# A toolkit that NVIDIA's installer made has both in a folder of their own.
set(WARPTAPE_CUPTI_INCLUDE "")
if(NOT EXISTS ${WARPTAPE_CUDA_INCLUDE}/cupti.h AND EXISTS ${WARPTAPE_CUDA_TOP}/extras/CUPTI/include/cupti.h)
  set(WARPTAPE_CUPTI_INCLUDE ${WARPTAPE_CUDA_TOP}/extras/CUPTI/include)
endif()
get_filename_component(folder ${WARPTAPE_CUDA_RUNTIME} DIRECTORY)
set(WARPTAPE_CUPTI_FOLDERS "${folder}:${WARPTAPE_CUDA_TOP}/extras/CUPTI/lib64:${WARPTAPE_CUDA_TOP}/lib64")

# Kernels use no local memory: ptxas warns of spills and, apart from those, of stack frames.
set(WARPTAPE_CUDA_WARNINGS "SHELL:-Xptxas -warn-spills,-warn-lmem-usage" -Xcompiler=-Wall,-Wextra)
if(WARPTAPE_WERROR)
  list(APPEND WARPTAPE_CUDA_WARNINGS "SHELL:-Werror all-warnings" -Xcompiler=-Werror)
endif()
foreach(flag ${WARPTAPE_CUDA_FLAGS} ${WARPTAPE_CUDA_WARNINGS} -Xcompiler=-ffp-contract=off)
  target_compile_options(warptape_gpu_own_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:${flag}>)
endforeach()
