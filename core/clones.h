#pragma once
// CPU code per instruction set: a function marked WARPTAPE_CLONES is compiled for AVX-512, AVX2 and
// the baseline, and the right one is chosen when the program starts. What it calls must be inlined
// into it (WARPTAPE_INLINE), or it stays baseline code. Results do not depend on the choice: the
// compiler may neither contract nor reorder floating-point arithmetic.

#define WARPTAPE_INLINE [[gnu::always_inline]] inline

// The sanitizers do not work with the indirect functions behind this.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// By instructions, not by an architecture: g++ 12 takes "arch=skylake-avx512" for that processor
// and no later one, which then get the default.
#define WARPTAPE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define WARPTAPE_HAS_CLONES 1
#else
#define WARPTAPE_CLONES
#define WARPTAPE_HAS_CLONES 0
#endif
