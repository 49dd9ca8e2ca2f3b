/*
 * System calls without libc. The reaper and the command share the memory of the thread that started them, thread-local
 * storage included, and may outlive that thread: errno, the stack protector and lazy binding are out of bounds.
 */
#ifndef SANDLOCK_RAWCALL_H
#define SANDLOCK_RAWCALL_H

#include <stdint.h>

#if defined(__x86_64__)

static inline long rawcall(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	long result;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* clone(2) whose child runs entry(argument) on the given stack and exits with its result. With CLONE_CHILD_SETTID the
   child's number is in *tid before entry starts. */
static inline long rawclone(uint64_t flags, void *stack_top, int32_t *pidfd, int32_t *tid, int (*entry)(void *),
			    void *argument)
{
	long result;
	register int32_t *r10 __asm__("r10") = tid;
	register uint64_t r8 __asm__("r8") = 0;
	register void *r12 __asm__("r12") = argument;
	register void *r13 __asm__("r13") = (void *)entry;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call *%%r13\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov $60, %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(result)
			 : "a"(56L), "D"(flags), "S"(stack_top), "d"(pidfd), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

static inline long rawcall(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t x0 __asm__("x0") = a;
	register uint64_t x1 __asm__("x1") = b;
	register uint64_t x2 __asm__("x2") = c;
	register uint64_t x3 __asm__("x3") = d;
	register uint64_t x4 __asm__("x4") = e;
	register uint64_t x5 __asm__("x5") = f;
	register long x8 __asm__("x8") = nr;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
	return (long)x0;
}

static inline long rawclone(uint64_t flags, void *stack_top, int32_t *pidfd, int32_t *tid, int (*entry)(void *),
			    void *argument)
{
	register uint64_t x0 __asm__("x0") = flags;
	register void *x1 __asm__("x1") = stack_top;
	register int32_t *x2 __asm__("x2") = pidfd;
	register uint64_t x3 __asm__("x3") = 0;
	register int32_t *x4 __asm__("x4") = tid;
	register long x8 __asm__("x8") = 220;
	register void *x19 __asm__("x19") = argument;
	register void *x20 __asm__("x20") = (void *)entry;
	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x19\n\t"
			 "blr x20\n\t"
			 "mov x8, #93\n\t"
			 "svc 0\n\t"
			 "brk #0\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x8), "r"(x19), "r"(x20)
			 : "x30", "memory");
	return (long)x0;
}

#else
#error "sandlock knows x86_64 and aarch64"
#endif

#endif
