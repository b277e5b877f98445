# cuBLASLt and cuDNN, optional accelerators of WARPTAPE_GPU=cuda. Sets, for each of CUBLAS and CUDNN,
#   WARPTAPE_WITH_CUBLAS     whether its headers are there, so that *_cublas.cpp can be compiled
#   WARPTAPE_CUBLAS_ABSENT   why not, a sentence for `warptape info`
#   WARPTAPE_CUBLAS_FOLDERS  where the program looks for the library, as load_library() reads it
#   WARPTAPE_CUBLAS_OPTIONS  how files that name it are compiled
# Nothing links them. warptape_gpu_library_sources(LIST) leaves of the sources in LIST those that this
# build compiles.

option(WARPTAPE_GPU_LIBRARIES "With WARPTAPE_GPU=cuda: use cuBLASLt and cuDNN where they are found" ON)
set(WARPTAPE_CUDNN_ROOT "" CACHE PATH "cuDNN's folder, with include/ and lib/ in it; else it is searched for")
# Its API moves from release to release.
set(WARPTAPE_CUDNN_FRONTEND_VERSION 1.32.0)

macro(warptape_gpu_library_sources sources)
  foreach(library cublas cudnn)
    string(TOUPPER ${library} upper)
    if(WARPTAPE_WITH_${upper})
      list(FILTER ${sources} EXCLUDE REGEX "/${library}_absent\\.cpp$")
    else()
      list(FILTER ${sources} EXCLUDE REGEX "_${library}\\.cpp$")
    endif()
  endforeach()
endmacro()

set(WARPTAPE_WITH_CUBLAS OFF)
set(WARPTAPE_WITH_CUDNN OFF)
if(NOT WARPTAPE_GPU STREQUAL "cuda")
  set(WARPTAPE_CUBLAS_ABSENT "it needs WARPTAPE_GPU=cuda")
elseif(NOT WARPTAPE_GPU_LIBRARIES)
  set(WARPTAPE_CUBLAS_ABSENT "built with WARPTAPE_GPU_LIBRARIES=OFF")
endif()
set(WARPTAPE_CUDNN_ABSENT "${WARPTAPE_CUBLAS_ABSENT}")
if(WARPTAPE_CUBLAS_ABSENT)
  return()
endif()

# Python packages may hold the libraries: those of .deps/venv, and of python3.
file(GLOB warptape_sites ${PROJECT_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages)
execute_process(COMMAND python3 -c "import sys; print(';'.join(filter(None, sys.path)))"
                OUTPUT_VARIABLE sites OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
list(APPEND warptape_sites ${sites})

# Folders of Python packages that exist, in the form of load_library().
function(warptape_site_folders result subfolder)
  set(folders "")
  foreach(site ${warptape_sites})
    if(IS_DIRECTORY ${site}/${subfolder})
      string(APPEND folders ":${site}/${subfolder}")
    endif()
  endforeach()
  set(${result} "${folders}" PARENT_SCOPE)
endfunction()

get_filename_component(warptape_toolkit_lib ${WARPTAPE_CUDA_RUNTIME} DIRECTORY)

# cuBLASLt's header: the toolkit's, or a Python package's.
set(cublas_include "")
set(candidates ${WARPTAPE_CUDA_INCLUDE})
foreach(site ${warptape_sites})
  list(APPEND candidates ${site}/nvidia/cu13/include)
endforeach()
foreach(folder ${candidates})
  if(NOT cublas_include AND EXISTS ${folder}/cublasLt.h)
    set(cublas_include ${folder})
  endif()
endforeach()

if(cublas_include)
  set(WARPTAPE_WITH_CUBLAS ON)
  # Searched last: all other headers in there are the toolkit's.
  set(WARPTAPE_CUBLAS_OPTIONS "")
  if(NOT cublas_include STREQUAL WARPTAPE_CUDA_INCLUDE)
    set(WARPTAPE_CUBLAS_OPTIONS -idirafter${cublas_include})
  endif()
  # An empty name is the loader's own search.
  warptape_site_folders(folders nvidia/cu13/lib)
  set(WARPTAPE_CUBLAS_FOLDERS "${warptape_toolkit_lib}:${folders}")
  message(STATUS "cuBLASLt: ${cublas_include}/cublasLt.h")
else()
  set(WARPTAPE_CUBLAS_ABSENT "cublasLt.h was not found by the build")
  message(STATUS "cuBLASLt: ${WARPTAPE_CUBLAS_ABSENT}; our kernels serve")
endif()

# cuDNN's header. The library beside it may be missing here and be there where the program runs.
set(candidates ${WARPTAPE_CUDNN_ROOT}/include)
if(NOT WARPTAPE_CUDNN_ROOT)
  set(candidates ${WARPTAPE_CUDA_INCLUDE} /usr/include /usr/local/include
                 /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  foreach(site ${warptape_sites})
    list(APPEND candidates ${site}/nvidia/cudnn/include)
  endforeach()
endif()
set(cudnn_include "")
foreach(folder ${candidates})
  if(NOT cudnn_include AND EXISTS ${folder}/cudnn_version.h)
    set(cudnn_include ${folder})
  endif()
endforeach()

# cudnn-frontend, headers alone: .bundle/ has them, or PyPI's package in include/ of its site.
set(frontend_include "")
foreach(folder ${PROJECT_SOURCE_DIR}/.bundle/usr ${warptape_sites} /usr /usr/local)
  set(version "")
  if(NOT frontend_include AND EXISTS ${folder}/include/cudnn_frontend_version.h)
    file(STRINGS ${folder}/include/cudnn_frontend_version.h lines REGEX "_(MAJOR|MINOR|PATCH)_VERSION +[0-9]+$")
    foreach(line ${lines})
      string(REGEX MATCH "[0-9]+$" number "${line}")
      list(APPEND version ${number})
    endforeach()
    list(JOIN version "." version)
  endif()
  if(version STREQUAL WARPTAPE_CUDNN_FRONTEND_VERSION)
    set(frontend_include ${folder}/include)
  endif()
endforeach()

if(cudnn_include AND frontend_include)
  set(WARPTAPE_WITH_CUDNN ON)
  # Folders that the compiler searches anyway must keep their place in its order.
  # Optimising cudnn-frontend's headers takes a minute and gains nothing.
  set(WARPTAPE_CUDNN_OPTIONS -O1)
  if(NOT cudnn_include IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    list(APPEND WARPTAPE_CUDNN_OPTIONS -I${cudnn_include})
  endif()
  if(NOT frontend_include IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    list(APPEND WARPTAPE_CUDNN_OPTIONS -isystem${frontend_include})
  endif()
  get_filename_component(cudnn_lib ${cudnn_include}/../lib ABSOLUTE)
  warptape_site_folders(folders nvidia/cudnn/lib)
  set(WARPTAPE_CUDNN_FOLDERS "${cudnn_lib}:${warptape_toolkit_lib}:${folders}")
  message(STATUS "cuDNN: ${cudnn_include}/cudnn.h, cudnn-frontend ${WARPTAPE_CUDNN_FRONTEND_VERSION} in ${frontend_include}")
else()
  set(WARPTAPE_CUDNN_ABSENT "cudnn-frontend ${WARPTAPE_CUDNN_FRONTEND_VERSION} was not found by the build")
  if(NOT cudnn_include)
    set(WARPTAPE_CUDNN_ABSENT "cudnn.h was not found by the build")
  endif()
  message(STATUS "cuDNN: ${WARPTAPE_CUDNN_ABSENT}; our kernels serve (tools/setup.sh --cuda installs it)")
endif()
