# warptape_ptxas_report(NAME FILE.cu) makes ${CMAKE_BINARY_DIR}/ptxas/NAME.json: what
# ptxas says of the file's kernels on sm_90 (tools/ptxas_report.py), compiled as preset cuda does.
# Needs nvcc but no GPU, and works in builds of any WARPTAPE_GPU. Where there is no toolkit it makes
# nothing; WARPTAPE_PTXAS says whether it does.

set(WARPTAPE_PTXAS OFF)
find_package(Python3 COMPONENTS Interpreter)
include(warptape_cuda_toolkit)
if(NOT WARPTAPE_CUDA_NVCC)
  warptape_find_cuda_toolkit(OPTIONAL)
endif()
if(WARPTAPE_CUDA_NVCC AND Python3_FOUND)
  set(WARPTAPE_PTXAS ON)
  message(STATUS "ptxas: CUDA ${WARPTAPE_CUDA_VERSION} in ${WARPTAPE_CUDA_TOP}")
else()
  message(STATUS "ptxas: not at hand, so nothing about registers and occupancy (tools/setup.sh --cuda installs it)")
endif()

warptape_write_build_headers(${CMAKE_BINARY_DIR}/ptxas/generated 1)

function(warptape_ptxas_report name file)
  if(NOT WARPTAPE_PTXAS)
    return()
  endif()
  get_filename_component(file ${file} ABSOLUTE)
  set(output ${CMAKE_BINARY_DIR}/ptxas/${name}.json)
  set(script ${PROJECT_SOURCE_DIR}/tools/ptxas_report.py)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/ptxas)
  add_custom_command(
    OUTPUT ${output}
    COMMAND Python3::Interpreter ${script} --nvcc ${WARPTAPE_CUDA_NVCC} --output ${output} --depfile
            ${output}.d ${file} -- -O3 -DNDEBUG -std=c++20 -ccbin=${CMAKE_CXX_COMPILER}
            ${WARPTAPE_CUDA_FLAGS} -I${CMAKE_BINARY_DIR}/ptxas/generated -I${PROJECT_SOURCE_DIR}
            -I${WARPTAPE_GENERATED}
    DEPENDS ${file} ${script}
    DEPFILE ${output}.d
    COMMENT "ptxas report of ${name}"
    VERBATIM)
  add_custom_target(ptxas_${name} ALL DEPENDS ${output})
endfunction()
