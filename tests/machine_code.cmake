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
  add_test(NAME machine_code COMMAND ${check_machine_code} $<TARGET_FILE:warptape_kernels>
                                     $<TARGET_FILE:warptape_core>)
  set_tests_properties(machine_code PROPERTIES SKIP_RETURN_CODE 77)
endif()
