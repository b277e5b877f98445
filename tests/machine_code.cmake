# Tests of the machine code that nvcc made (preset cuda). They need no GPU but a disassembler, which
# tools/setup.sh --dev --cuda installs; without one ctest reports them as skipped.
set(check_machine_code Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/machine_code.py
                       --toolkit ${WARPTAPE_CUDA_TOP})
add_library(planted_machine_code OBJECT planted_machine_code.cu)
add_test(NAME machine_code_check COMMAND ${check_machine_code} --expect-faults
                                         $<TARGET_OBJECTS:planted_machine_code>
         COMMAND_EXPAND_LISTS)
set_tests_properties(machine_code_check PROPERTIES SKIP_RETURN_CODE 77)

file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/*.cu ${PROJECT_SOURCE_DIR}/kernels/*/*.cu)
if(kernels)
  # Objects, not libraries: they are read side by side.
  set(objects "$<FILTER:$<TARGET_OBJECTS:warptape_core>,INCLUDE,\\.cu\\.o$>")
  get_property(units GLOBAL PROPERTY WARPTAPE_KERNEL_UNITS)
  foreach(unit ${units})
    list(APPEND objects "$<FILTER:$<TARGET_OBJECTS:warptape_kernels_${unit}>,INCLUDE,\\.cu\\.o$>")
  endforeach()
  add_test(NAME machine_code COMMAND ${check_machine_code} "${objects}"
           COMMAND_EXPAND_LISTS)
  set_tests_properties(machine_code PROPERTIES SKIP_RETURN_CODE 77)
endif()

# What nvcc must refuse: sums of floats in the order of arrival.
function(warptape_atomic_test name atomic element)
  add_test(NAME machine_code_${name}
           COMMAND ${CMAKE_CUDA_COMPILER} -std=c++20 -ccbin ${CMAKE_CUDA_HOST_COMPILER} -I${PROJECT_SOURCE_DIR}
                   -I${WARPTAPE_GENERATED}
                   -DATOMIC=${atomic} -DELEMENT=${element} -cubin -o ${CMAKE_CURRENT_BINARY_DIR}/${name}.cubin
                   ${CMAKE_CURRENT_SOURCE_DIR}/refused_atomics.cu)
endfunction()
warptape_atomic_test(atomic_add_int atomicAdd int)
foreach(atomic atomicAdd atomicExch)
  warptape_atomic_test(${atomic}_float ${atomic} float)
  set_tests_properties(machine_code_${atomic}_float PROPERTIES PASS_REGULAR_EXPRESSION "atomics are for integers")
endforeach()
warptape_atomic_test(atomicAdd_block_float atomicAdd_block float)
set_tests_properties(machine_code_atomicAdd_block_float PROPERTIES PASS_REGULAR_EXPRESSION "not in the vocabulary")
