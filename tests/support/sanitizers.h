#pragma once

namespace warptape {

// Whether AddressSanitizer watches this build's libraries. It does not watch the tests themselves,
// whose files do not know.
bool under_address_sanitizer();

}  // namespace warptape
