# warptape_find_cuda_toolkit() finds a CUDA toolkit (13.0 or later) whose pieces belong together and
# sets, for the caller,
#   WARPTAPE_CUDA_NVCC      nvcc
#   WARPTAPE_CUDA_TOP       the toolkit's folder, with bin/ and nvvm/ in it
#   WARPTAPE_CUDA_VERSION   13.0
#   WARPTAPE_CUDA_INCLUDE   the folder of cuda_runtime.h
#   WARPTAPE_CUDA_RUNTIME   the CUDA runtime to link: the static one, else the shared one
# or ends with one sentence that says what is wrong and what to do; warptape_find_cuda_toolkit(OPTIONAL)
# goes on, with an empty WARPTAPE_CUDA_NVCC. WARPTAPE_CUDA_NAMED_ROOT is the root that was named. A build
# folder that has a CUDA compiler remembers it as WARPTAPE_CUDA_CONFIGURED_ROOT: then no other will do.
#
# Who names a toolkit gets that one or an error: CMAKE_CUDA_COMPILER or CUDACXX (an nvcc), then
# WARPTAPE_CUDA_ROOT (a toolkit's folder, or "wheels" for PyPI's in .deps/venv), as a variable or in
# the environment. Else the first fit one serves of: nvcc on PATH, /usr/local/cuda, PyPI's wheels.
#
# As a script it prints what it found:
#   cmake [-DWARPTAPE_CUDA_ROOT=...] -P cmake/warptape_cuda_toolkit.cmake

if(CMAKE_SCRIPT_MODE_FILE)
  cmake_minimum_required(VERSION 3.22)
endif()
set(WARPTAPE_CUDA_OLDEST 13.0)

# What decides the machine code of our kernels. Without contraction a fused path and a separate one
# give the same bits; matrix loops say fmaf.
set(WARPTAPE_CUDA_FLAGS --expt-relaxed-constexpr -fmad=false -lineinfo)

# "13.0" of a tool that answers to --version, "" if it does not run.
function(warptape_cuda_tool_version tool out)
  execute_process(COMMAND ${tool} --version OUTPUT_VARIABLE text ERROR_VARIABLE text
                  RESULT_VARIABLE status)
  set(${out} "" PARENT_SCOPE)
  if(status EQUAL 0 AND text MATCHES "V([0-9]+\\.[0-9]+)\\.[0-9]+")
    set(${out} ${CMAKE_MATCH_1} PARENT_SCOPE)
  endif()
endfunction()

# Sets WARPTAPE_CUDA_* for an nvcc, or WARPTAPE_CUDA_PROBLEM to what is wrong with it.
macro(warptape_cuda_unfit)
  string(CONCAT problem ${ARGN})
  set(WARPTAPE_CUDA_PROBLEM "${problem}" PARENT_SCOPE)
  return()
endmacro()
function(warptape_examine_cuda_toolkit nvcc)
  warptape_cuda_tool_version(${nvcc} version)
  if(NOT version)
    warptape_cuda_unfit("${nvcc} is missing or does not run")
  endif()
  if(version VERSION_LESS WARPTAPE_CUDA_OLDEST)
    warptape_cuda_unfit("${nvcc} is of CUDA ${version}, older than ${WARPTAPE_CUDA_OLDEST}")
  endif()

  # nvcc itself says where its pieces are: it may be a wrapper or a link.
  execute_process(COMMAND ${nvcc} -v --dryrun warptape_no_such_file OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT text MATCHES "#\\$ TOP=([^\r\n]*)")
    warptape_cuda_unfit("${nvcc} does not say where its toolkit is")
  endif()
  get_filename_component(top "${CMAKE_MATCH_1}" REALPATH)

  foreach(tool cudafe++ ptxas fatbinary nvlink)
    warptape_cuda_tool_version(${top}/bin/${tool} found)
    if(NOT found)
      warptape_cuda_unfit("nvcc ${version} in ${top} has no ${tool} that runs")
    elseif(NOT found VERSION_EQUAL version)
      warptape_cuda_unfit("${tool} is of CUDA ${found} beside nvcc ${version} in ${top}")
    endif()
  endforeach()

  set(include "")
  foreach(folder ${top}/include ${top}/targets/${CMAKE_HOST_SYSTEM_PROCESSOR}-linux/include
                 ${top}/targets/sbsa-linux/include)
    if(EXISTS ${folder}/cuda_runtime_api.h)
      set(include ${folder})
      break()
    endif()
  endforeach()
  if(NOT include)
    warptape_cuda_unfit("nvcc ${version} in ${top} has no cuda_runtime_api.h")
  endif()
  file(STRINGS ${include}/cuda_runtime_api.h text REGEX "^#define CUDART_VERSION +[0-9]+")
  string(REGEX MATCH "[0-9]+" number "${text}")
  math(EXPR major "${number} / 1000")
  math(EXPR minor "${number} % 1000 / 10")
  if(NOT "${major}.${minor}" VERSION_EQUAL version)
    warptape_cuda_unfit("the runtime's headers are of CUDA ${major}.${minor} beside nvcc ${version} in ${top}")
  endif()
  foreach(piece ${top}/nvvm/bin/cicc ${top}/nvvm/libdevice ${include}/crt/host_config.h)
    if(NOT EXISTS ${piece})
      warptape_cuda_unfit("nvcc ${version} lacks ${piece}")
    endif()
  endforeach()

  # cicc and the headers in crt/ carry no version that can be asked for, but wheels do. That cicc
  # and ptxas fit each other is tried below.
  get_filename_component(site ${top}/../.. ABSOLUTE)
  foreach(wheel nvidia_nvvm nvidia_cuda_crt)
    file(GLOB found RELATIVE ${site} ${site}/${wheel}-*.dist-info)
    if(found MATCHES "-([0-9]+\\.[0-9]+)\\." AND NOT CMAKE_MATCH_1 VERSION_EQUAL version)
      warptape_cuda_unfit("${wheel} is of CUDA ${CMAKE_MATCH_1} beside nvcc ${version} in ${top}")
    endif()
  endforeach()

  set(runtime "")
  foreach(name libcudart_static.a libcudart.so libcudart.so.13)
    foreach(folder ${top}/lib64 ${top}/lib ${include}/../lib)
      if(NOT runtime AND EXISTS ${folder}/${name})
        get_filename_component(runtime ${folder}/${name} ABSOLUTE)
      endif()
    endforeach()
  endforeach()
  if(NOT runtime)
    warptape_cuda_unfit("nvcc ${version} in ${top} has no runtime library (libcudart)")
  endif()

  # A kernel through all of it (about a second, so once per toolkit and build folder).
  if(NOT "${WARPTAPE_CUDA_TRIED}" STREQUAL "${nvcc} ${version}")
    set(kernel ${CMAKE_CURRENT_BINARY_DIR}/warptape_cuda_probe)
    if(CMAKE_SCRIPT_MODE_FILE)
      string(RANDOM LENGTH 12 name)
      set(kernel /tmp/warptape_cuda_probe_${name})
    endif()
    file(WRITE ${kernel}.cu "__global__ void probe(float* p) { p[threadIdx.x] += 1; }\n")
    execute_process(COMMAND ${nvcc} -arch=sm_90 -cubin -o ${kernel}.cubin ${kernel}.cu
                    OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status)
    file(REMOVE ${kernel}.cu ${kernel}.cubin)
    if(NOT status EQUAL 0)
      string(REGEX REPLACE "[\r\n].*" "" text "${text}")
      warptape_cuda_unfit("nvcc ${version} in ${top} cannot compile a small kernel (${text})")
    endif()
    if(NOT CMAKE_SCRIPT_MODE_FILE)
      set(WARPTAPE_CUDA_TRIED "${nvcc} ${version}" CACHE INTERNAL "")
    endif()
  endif()

  set(WARPTAPE_CUDA_PROBLEM "" PARENT_SCOPE)
  set(WARPTAPE_CUDA_NVCC ${nvcc} PARENT_SCOPE)
  set(WARPTAPE_CUDA_TOP ${top} PARENT_SCOPE)
  set(WARPTAPE_CUDA_VERSION ${version} PARENT_SCOPE)
  set(WARPTAPE_CUDA_INCLUDE ${include} PARENT_SCOPE)
  set(WARPTAPE_CUDA_RUNTIME ${runtime} PARENT_SCOPE)
endfunction()

function(warptape_cuda_fail sentence)
  if(CMAKE_SCRIPT_MODE_FILE)
    message("${sentence}")  # on a line of its own, for scripts
  endif()
  message(FATAL_ERROR "${sentence}")
endfunction()

# A build folder stays with its nvcc: for another CMake would drop all settings. So nobody is left
# with another toolkit than the newly named root.
function(warptape_cuda_check_configured root)
  get_filename_component(configured "${CMAKE_CUDA_COMPILER}" REALPATH)
  foreach(nvcc ${ARGN})
    get_filename_component(nvcc ${nvcc} REALPATH)
    if(nvcc STREQUAL configured)
      return()
    endif()
  endforeach()
  string(CONCAT sentence "This build folder was configured with ${CMAKE_CUDA_COMPILER}, not with "
         "WARPTAPE_CUDA_ROOT=${root}: delete the folder and configure again.")
  warptape_cuda_fail("${sentence}")
endfunction()

function(warptape_find_cuda_toolkit)
  get_filename_component(repository ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/.. ABSOLUTE)
  file(GLOB wheels ${repository}/.deps/venv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)

  set(root "${WARPTAPE_CUDA_ROOT}")
  if(NOT root)
    set(root "$ENV{WARPTAPE_CUDA_ROOT}")
  endif()
  set(WARPTAPE_CUDA_NAMED_ROOT "${root}" PARENT_SCOPE)
  set(of_root "")
  if(root STREQUAL "wheels")
    set(of_root ${wheels})
  elseif(root)
    set(of_root ${root}/bin/nvcc)
  endif()
  if(DEFINED WARPTAPE_CUDA_CONFIGURED_ROOT AND root AND NOT root STREQUAL WARPTAPE_CUDA_CONFIGURED_ROOT)
    warptape_cuda_check_configured("${root}" ${of_root})
  endif()

  set(named "")
  set(problems "")
  separate_arguments(command UNIX_COMMAND "$ENV{CUDACXX}")
  if(CMAKE_CUDA_COMPILER)
    set(named ${CMAKE_CUDA_COMPILER})
  elseif(command)
    list(GET command 0 named)
  elseif(root)
    set(named ${of_root})
    if(NOT named)
      set(problems "there is none of PyPI's in .deps/venv")
    endif()
  endif()

  set(candidates ${named})
  if(NOT named AND NOT problems)
    find_program(nvcc_on_path nvcc NO_CACHE NO_DEFAULT_PATH PATHS ENV PATH)
    if(nvcc_on_path)
      list(APPEND candidates ${nvcc_on_path})
    endif()
    if(EXISTS /usr/local/cuda/bin/nvcc)
      list(APPEND candidates /usr/local/cuda/bin/nvcc)
    endif()
    list(APPEND candidates ${wheels})
  endif()

  foreach(candidate ${candidates})
    warptape_examine_cuda_toolkit(${candidate})
    if(NOT WARPTAPE_CUDA_PROBLEM)
      foreach(name NVCC TOP VERSION INCLUDE RUNTIME)
        set(WARPTAPE_CUDA_${name} ${WARPTAPE_CUDA_${name}} PARENT_SCOPE)
      endforeach()
      return()
    endif()
    list(APPEND problems "${WARPTAPE_CUDA_PROBLEM}")
  endforeach()
  list(REMOVE_DUPLICATES problems)
  list(JOIN problems ", and " problems)
  if(NOT problems)
    set(problems "there is no nvcc")
  endif()
  set(WARPTAPE_CUDA_NVCC "" PARENT_SCOPE)
  if("OPTIONAL" IN_LIST ARGN)
    return()
  endif()
  string(CONCAT sentence "No usable CUDA toolkit: ${problems}; run tools/setup.sh --cuda, or name a whole "
         "toolkit (${WARPTAPE_CUDA_OLDEST} or later) with -DWARPTAPE_CUDA_ROOT=FOLDER.")
  warptape_cuda_fail("${sentence}")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  warptape_find_cuda_toolkit()
  message(STATUS "CUDA ${WARPTAPE_CUDA_VERSION} in ${WARPTAPE_CUDA_TOP}")
endif()
