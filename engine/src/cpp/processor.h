// Loops that are compiled for several kinds of processors, of which the fastest is chosen at run time.

#pragma once

#define INLINE inline __attribute__((always_inline))

// `EACH_TARGET(DEFINE)` calls `DEFINE(name, attribute, single-precision numbers of a register)` for every
// kind, and `FASTEST` is the one of these names that this processor has.
#if defined(__x86_64__)
#define EACH_TARGET(DEFINE)                                                                      \
  DEFINE(plain, , 8)                                                                             \
  DEFINE(avx2, __attribute__((target("avx2,fma"))), 8)                                           \
  DEFINE(avx512, __attribute__((target("avx512f,avx2,fma,prefer-vector-width=512"))), 16)
#define FASTEST                                                                                  \
  (__builtin_cpu_supports("avx512f") ? avx512                                                    \
   : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2 : plain)
#else
#define EACH_TARGET(DEFINE) DEFINE(plain, , 8)
#define FASTEST plain
#endif
