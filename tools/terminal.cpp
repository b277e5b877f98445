#include "tools/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace warptape::tools {

void open_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) {
      // The lowest free number is the one that was found closed.
      if (::open("/dev/null", O_RDWR) < 0) {
        std::_Exit(1);  // nowhere to say why
      }
    }
  }
}

}  // namespace warptape::tools
