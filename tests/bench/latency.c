/*
 * One thread is in getpgid all the time, which somebody takes long to answer. The other one makes getppid calls now and
 * then, and prints how long all but the slowest hundredth of them took at most, in nanoseconds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct timespec pause_between = {.tv_nsec = 500 * 1000};

static void *keep_busy(void *unused)
{
	for (;;)
		syscall(SYS_getpgid, 0);
	return unused;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	long samples = argc == 2 ? atol(argv[1]) : 0;
	if (samples <= 0) {
		fprintf(stderr, "usage: %s SAMPLES\n", argv[0]);
		return 2;
	}
	double *took = calloc(samples, sizeof *took);
	pthread_t busy;
	if (took == NULL || pthread_create(&busy, NULL, keep_busy, NULL)) {
		fprintf(stderr, "latency: cannot start\n");
		return 1;
	}
	for (long i = 0; i < samples; i++) {
		nanosleep(&pause_between, NULL);
		double began = now();
		syscall(SYS_getppid);
		took[i] = now() - began;
	}
	qsort(took, samples, sizeof *took, compare);
	printf("%.1f\n", took[samples * 99 / 100]);
	fflush(stdout);
	_exit(0); /* the other thread is still busy */
}
