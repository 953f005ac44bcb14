/* What this machine can run. Called in the generic module only, before any other is imported. */
#include "kernels.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The compiler's builtin asks both sides: cpuid whether the CPU has the instructions, and xgetbv
 * whether the OS saves the wide registers when it switches threads. A CPU with AVX-512 under an OS
 * (or a hypervisor) that does not is an illegal instruction, and cpuid alone would not tell. */
#if defined(__x86_64__)
/* float16 to float and back. Before GCC 11 the builtin does not know its name. */
static int cpu_has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

int cpu_can_run(int isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (isa == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
    if (isa == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
#endif
    return isa == 0;
}
