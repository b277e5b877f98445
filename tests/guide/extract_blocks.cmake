# Writes the blocks of docs/write_a_kernel.md to ${guide_folder}/kernels/${guide_op}.

find_package(Python3 COMPONENTS Interpreter REQUIRED)
set(guide ${PROJECT_SOURCE_DIR}/docs/write_a_kernel.md)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${guide})
set(guide_op scale_rows)
set(guide_folder ${CMAKE_CURRENT_BINARY_DIR}/guide)
execute_process(COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/extract_blocks.py ${guide}
                        ${guide_folder}/kernels/${guide_op}
                OUTPUT_QUIET RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "the blocks of ${guide} could not be extracted")
endif()
