/* Makes one system call and prints: pid tid number result errno.
 *
 * call NUMBER [ARGUMENT...]
 * An argument is a number, s:TEXT for a string, or x:HEX for a buffer with that content. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	long number = strtol(argv[1], NULL, 0), args[6] = {0};
	for (int i = 2; i < argc; i++)
		args[i - 2] = value_of(argv[i]);
	errno = 0;
	long result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	int failed = errno;
	printf("%d %ld %ld %ld %d\n", getpid(), syscall(SYS_gettid), number, result, failed);
	return 0;
}
