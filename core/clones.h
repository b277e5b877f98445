#pragma once
// CPU code per instruction set: a function marked WARPTAPE_CLONES is compiled for AVX-512, AVX2 and
// the baseline, and the right one is chosen when the program starts. What it calls must be inlined
// into it (WARPTAPE_INLINE), or it stays baseline code. Results do not depend on the choice: the
// compiler may neither contract nor reorder floating-point arithmetic.

#define WARPTAPE_INLINE [[gnu::always_inline]] inline

// The sanitizers do not work with the indirect functions behind this.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WARPTAPE_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define WARPTAPE_CLONES
#endif
