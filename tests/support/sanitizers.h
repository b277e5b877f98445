#pragma once

namespace warptape {

// Whether AddressSanitizer watches this build's libraries. It does not watch the tests themselves,
// whose files do not know.
bool under_address_sanitizer();

// The same of ThreadSanitizer.
bool under_thread_sanitizer();

}  // namespace warptape
