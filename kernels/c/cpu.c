/* What this machine can run. Called in the generic module only, before any other is imported. */
#include "kernels.h"
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

const char *cpu_isas(void) { return "generic avx2 avxvnni avx512"; }

/* Two that GCC before 11 has no name for. */
static int cpu_has_f16c(void) { /* float16 to float and back */
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
static int cpu_has_avxvnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4);
}

/* The compiler's builtin asks both sides: cpuid whether the CPU has the instructions, and xgetbv
 * whether the OS saves the wide registers when it switches threads. A CPU with AVX-512 under an OS
 * (or a hypervisor) that does not is an illegal instruction, and cpuid alone would not tell. */
int cpu_can_run(const char *isa) {
    __builtin_cpu_init();
    const int avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
    if (!strcmp(isa, "avx2")) return avx2;
    if (!strcmp(isa, "avxvnni")) return avx2 && cpu_has_avxvnni();
    if (!strcmp(isa, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
    return !strcmp(isa, "generic");
}

#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
static int cpu_has_dotprod(void) { return (getauxval(AT_HWCAP) & 1 << 20) != 0; } /* HWCAP_ASIMDDP */
#elif defined(__APPLE__)
static int cpu_has_dotprod(void) { return 1; } /* all of Apple's that run macOS */
#else
static int cpu_has_dotprod(void) { return 0; }
#endif

const char *cpu_isas(void) { return "generic neon dotprod"; }

int cpu_can_run(const char *isa) {
    if (!strcmp(isa, "dotprod")) return cpu_has_dotprod();
    return !strcmp(isa, "neon") || !strcmp(isa, "generic");
}

#else
const char *cpu_isas(void) { return "generic"; }

int cpu_can_run(const char *isa) { return !strcmp(isa, "generic"); }
#endif
