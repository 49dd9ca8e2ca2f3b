/* Makes system calls one after the other and prints a line for each: result errno [buffer in hex].
 *
 * steps STEP [, STEP]...
 * STEP is NUMBER [ARGUMENT...]. An argument is a number, s:TEXT for a string, b:SIZE for a buffer of zeros that is
 * printed after the call, or r:N for the result of step N. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 64

static long results[MOST];
static int errors[MOST];
static unsigned char *buffers[MOST];
static size_t sizes[MOST];

static long value_of(char *word, int step)
{
	if (strncmp(word, "s:", 2) == 0)
		return (long)(word + 2);
	if (strncmp(word, "r:", 2) == 0)
		return results[atoi(word + 2)];
	if (strncmp(word, "b:", 2) == 0) {
		sizes[step] = strtoul(word + 2, NULL, 10);
		buffers[step] = calloc(1, sizes[step]);
		return (long)buffers[step];
	}
	return (long)strtoull(word, NULL, 0);
}

int main(int argc, char **argv)
{
	int steps = 0;
	for (int i = 1; i < argc; i++) {
		long words[7] = {0};
		for (int count = 0; i < argc && strcmp(argv[i], ",") != 0; i++, count++) {
			if (count == 7 || steps == MOST)
				return 2;
			words[count] = value_of(argv[i], steps);
		}
		errno = 0;
		results[steps] = syscall(words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
		errors[steps] = errno;
		steps++;
	}
	for (int step = 0; step < steps; step++) {
		printf("%ld %d ", results[step], errors[step]);
		for (size_t i = 0; i < sizes[step]; i++)
			printf("%02x", buffers[step][i]);
		printf("\n");
	}
	return 0;
}
