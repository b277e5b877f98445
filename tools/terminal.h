#pragma once

namespace warptape::tools {

// Descriptors 0 to 2, where they are closed, become /dev/null: the next file that is opened would
// get the number, and what the program prints. For the start of main.
void open_standard_streams();

}  // namespace warptape::tools
