/* Makes system calls one after the other and prints a line for each: result errno [buffer in hex].
 *
 * acts STEP [, STEP]...
 * STEP is NUMBER [ARGUMENT...]. An argument is a number, s:TEXT for a string, x:HEX for a buffer with that content,
 * b:SIZE for one of zeros that is printed after the call, or r:N for the result of step N. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 4096

static struct {
	long result;
	int error;
	unsigned char *buffer;
	size_t size;
} done[MOST];

static long value_of(char *word, int step)
{
	if (strncmp(word, "s:", 2) == 0)
		return (long)(word + 2);
	if (strncmp(word, "r:", 2) == 0)
		return done[atoi(word + 2)].result;
	if (strncmp(word, "b:", 2) == 0) {
		done[step].size = strtoul(word + 2, NULL, 10);
		done[step].buffer = calloc(1, done[step].size);
		return (long)done[step].buffer;
	}
	if (strncmp(word, "x:", 2) != 0)
		return (long)strtoull(word, NULL, 0);
	size_t size = strlen(word + 2) / 2;
	unsigned char *buffer = calloc(1, size + 1);
	for (size_t i = 0; i < size; i++)
		sscanf(word + 2 + 2 * i, "%2hhx", &buffer[i]);
	return (long)buffer;
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
		done[steps].result = syscall(words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
		done[steps].error = errno;
		steps++;
	}
	for (int step = 0; step < steps; step++) {
		printf("%ld %d ", done[step].result, done[step].error);
		for (size_t i = 0; i < done[step].size; i++)
			printf("%02x", done[step].buffer[i]);
		printf("\n");
	}
	return 0;
}
