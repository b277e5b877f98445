# Device cuda on the CUDA runtime: the toolkit, and the flags of .cu files (WARPTAPE_GPU=cuda).

include(warptape_cuda_toolkit)
warptape_find_cuda_toolkit()
set(CMAKE_CUDA_COMPILER ${WARPTAPE_CUDA_NVCC} CACHE FILEPATH "nvcc")
if(NOT DEFINED WARPTAPE_CUDA_CONFIGURED_ROOT)
  set(WARPTAPE_CUDA_CONFIGURED_ROOT "${WARPTAPE_CUDA_NAMED_ROOT}" CACHE INTERNAL "")
endif()
message(STATUS "CUDA: ${WARPTAPE_CUDA_VERSION} in ${WARPTAPE_CUDA_TOP}")

# Machine code for each generation that differs, and PTX of the newest for what comes after. 80 runs
# on 86 and 89 too.
set(WARPTAPE_CUDA_ARCHITECTURES "80-real;90-real;100-real;120" CACHE STRING
    "Architectures of the kernels, as in CMAKE_CUDA_ARCHITECTURES")
set(CMAKE_CUDA_ARCHITECTURES ${WARPTAPE_CUDA_ARCHITECTURES})
# One host compiler for all of the build.
if(NOT CMAKE_CUDA_HOST_COMPILER AND "$ENV{CUDAHOSTCXX}" STREQUAL "")
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
endif()

# CMake's tests of the compiler link programs, but nvcc looks for the runtime only in lib64, which
# wheels do not have, and for a shared one without its version, which they do not have either.
get_filename_component(warptape_cuda_lib ${WARPTAPE_CUDA_RUNTIME} DIRECTORY)
set(warptape_append_flags "$ENV{NVCC_APPEND_FLAGS}")
set(ENV{NVCC_APPEND_FLAGS} "${warptape_append_flags} -L${warptape_cuda_lib}")
if(NOT WARPTAPE_CUDA_RUNTIME MATCHES "_static\\.a$")
  set(warptape_cuda_lib ${CMAKE_BINARY_DIR}/cuda_runtime)
  file(MAKE_DIRECTORY ${warptape_cuda_lib})
  file(CREATE_LINK ${WARPTAPE_CUDA_RUNTIME} ${warptape_cuda_lib}/libcudart.so SYMBOLIC)
  set(ENV{NVCC_APPEND_FLAGS} "$ENV{NVCC_APPEND_FLAGS} -L${warptape_cuda_lib} -cudart=shared")
endif()
enable_language(CUDA)
set(ENV{NVCC_APPEND_FLAGS} "${warptape_append_flags}")
# CMake finds the host compiler's folders with the static runtime only; naming /usr/include again as
# a system folder would hide math.h from libstdc++.
if(NOT CMAKE_CUDA_IMPLICIT_INCLUDE_DIRECTORIES)
  set(CMAKE_CUDA_IMPLICIT_INCLUDE_DIRECTORIES ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES})
endif()
# Not before enable_language: some CMakes do not know that nvcc can.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)

# The runtime is linked by its full path, by whatever links Warptape, and libcuda never: a program
# starts on a machine without a driver and says so.
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
target_link_libraries(warptape_gpu_interface INTERFACE ${WARPTAPE_CUDA_RUNTIME} Threads::Threads
                                                       ${CMAKE_DL_LIBS} rt)
# For host files that include cuda_runtime_api.h; nvcc finds its own.
target_include_directories(warptape_gpu_interface SYSTEM INTERFACE
                           $<$<COMPILE_LANGUAGE:CXX>:${WARPTAPE_CUDA_INCLUDE}>)

# Kernels use no local memory: ptxas warns of spills and, apart from those, of stack frames.
set(WARPTAPE_CUDA_WARNINGS "SHELL:-Xptxas -warn-spills,-warn-lmem-usage" -Xcompiler=-Wall,-Wextra)
if(WARPTAPE_WERROR)
  list(APPEND WARPTAPE_CUDA_WARNINGS "SHELL:-Werror all-warnings" -Xcompiler=-Werror)
endif()
foreach(flag ${WARPTAPE_CUDA_FLAGS} ${WARPTAPE_CUDA_WARNINGS} -Xcompiler=-ffp-contract=off)
  target_compile_options(warptape_gpu_own_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:${flag}>)
endforeach()
