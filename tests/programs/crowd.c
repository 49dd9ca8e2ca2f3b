/* Makes the same system call from many threads at once: crowd THREADS NUMBER [ROUNDS].
 * The first argument of the call is the number of the thread, from 0. Prints the last result and errno of each. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 4096

static long number, results[MOST];
static int rounds = 1, errors[MOST];

static void *work(void *argument)
{
	long index = (long)argument;
	for (int i = 0; i < rounds; i++) {
		errno = 0;
		results[index] = syscall(number, index, 0, 0, 0, 0, 0);
		errors[index] = errno;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 3 || atoi(argv[1]) > MOST)
		return 2;
	int count = atoi(argv[1]);
	number = atol(argv[2]);
	if (argc > 3)
		rounds = atoi(argv[3]);
	pthread_t threads[MOST];
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i], &small, work, (void *)i) != 0)
			return 3;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < count; i++)
		printf("%ld %d\n", results[i], errors[i]);
	return 0;
}
