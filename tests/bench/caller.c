/* Makes a number of getppid calls and prints what one took, in nanoseconds. Who supervises it is the measured thing. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The first calls warm caches up, on both sides. */
#define UNCOUNTED 200

static void call(long times)
{
	while (times-- > 0)
		syscall(SYS_getppid);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	long times = argc == 2 ? atol(argv[1]) : 0;
	if (times <= 0) {
		fprintf(stderr, "usage: %s CALLS\n", argv[0]);
		return 2;
	}
	call(UNCOUNTED);
	double start = now();
	call(times);
	printf("%.1f\n", (now() - start) / times);
	return 0;
}
