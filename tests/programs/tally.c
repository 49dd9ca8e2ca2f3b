/* Threads call getpgid with numbers that no other call has, and note what each gave.
 *
 * tally THREADS CALLS
 * Prints a line for each call, once all are over: number result errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long calls, *results;
static int *errors;

static void *work(void *first)
{
	for (long i = 0, number = (long)first; i < calls; i++, number++) {
		errno = 0;
		results[number] = syscall(SYS_getpgid, number);
		errors[number] = errno;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	long threads = atol(argv[1]);
	calls = atol(argv[2]);
	results = calloc(threads * calls, sizeof *results);
	errors = calloc(threads * calls, sizeof *errors);
	pthread_t *ids = calloc(threads, sizeof *ids);
	for (long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, (void *)(i * calls)) != 0)
			return 2;
	for (long i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	for (long number = 0; number < threads * calls; number++)
		printf("%ld %ld %d\n", number, results[number], errors[number]);
	return 0;
}
