# Enables the language CUDA on the toolkit of warptape_find_cuda_toolkit(), for the architectures of
# WARPTAPE_CUDA_ARCHITECTURES.

set(CMAKE_CUDA_COMPILER ${WARPTAPE_CUDA_NVCC} CACHE FILEPATH "nvcc")
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
# The runtime is linked by its full path.
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
