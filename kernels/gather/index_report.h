#pragma once
#include <cstdint>

namespace warptape {

// The code of the report of an index that is not in 0 to length - 1: one for each op and length, as
// the message names both.
int bad_index_code(const char* op, int64_t length);

}  // namespace warptape
