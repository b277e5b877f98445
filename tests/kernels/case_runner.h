#pragma once

namespace warptape {

// Registers a GoogleTest test for every case of every op: suite op_NAME, tests CASE, CASE_cuda and
// error_CASE.
void register_case_tables();

}  // namespace warptape
