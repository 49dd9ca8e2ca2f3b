/* Makes one system call and prints: pid tid number result errno.
 *
 * call NAME|NUMBER [ARGUMENT...]
 * An argument is a number, s:TEXT for a string, or x:HEX for a buffer with that content. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSCALL(name) {#name, SYS_##name}
static const struct {
	const char *name;
	long number;
} syscalls[] = {
	SYSCALL(bind),		    SYSCALL(bpf),		SYSCALL(chroot),	   SYSCALL(clone3),
	SYSCALL(connect),	    SYSCALL(getpgid),		SYSCALL(getppid),	   SYSCALL(getpriority),
	SYSCALL(getsid),	    SYSCALL(getuid),		SYSCALL(io_uring_setup),   SYSCALL(kill),
	SYSCALL(memfd_create),	    SYSCALL(mkdirat),		SYSCALL(mount),		   SYSCALL(newfstatat),
	SYSCALL(openat),	    SYSCALL(perf_event_open),	SYSCALL(personality),	   SYSCALL(pidfd_open),
	SYSCALL(pivot_root),	    SYSCALL(prctl),		SYSCALL(prlimit64),	   SYSCALL(process_vm_readv),
	SYSCALL(process_vm_writev), SYSCALL(ptrace),		SYSCALL(renameat2),	   SYSCALL(rt_sigqueueinfo),
	SYSCALL(rt_tgsigqueueinfo), SYSCALL(setns),		SYSCALL(setresuid),	   SYSCALL(shmget),
	SYSCALL(socket),	    SYSCALL(socketpair),	SYSCALL(symlinkat),	   SYSCALL(tgkill),
	SYSCALL(tkill),		    SYSCALL(umount2),		SYSCALL(unlinkat),	   SYSCALL(unshare),
	SYSCALL(userfaultfd),
};

static long number_of(const char *word)
{
	for (size_t i = 0; i < sizeof syscalls / sizeof syscalls[0]; i++)
		if (strcmp(syscalls[i].name, word) == 0)
			return syscalls[i].number;
	char *end;
	long number = strtol(word, &end, 0);
	if (*word == '\0' || *end != '\0') {
		fprintf(stderr, "call: %s is not in the table\n", word);
		exit(2);
	}
	return number;
}

static long value_of(char *word)
{
	if (strncmp(word, "s:", 2) == 0)
		return (long)(word + 2);
	if (strncmp(word, "x:", 2) != 0)
		return (long)strtoull(word, NULL, 0);
	size_t length = strlen(word + 2) / 2;
	unsigned char *buffer = calloc(1, length + 1);
	for (size_t i = 0; i < length; i++)
		sscanf(word + 2 + 2 * i, "%2hhx", &buffer[i]);
	return (long)buffer;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 8)
		return 2;
	long number = number_of(argv[1]), args[6] = {0};
	for (int i = 2; i < argc; i++)
		args[i - 2] = value_of(argv[i]);
	errno = 0;
	long result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	int failed = errno;
	printf("%d %ld %ld %ld %d\n", getpid(), syscall(SYS_gettid), number, result, failed);
	return 0;
}
