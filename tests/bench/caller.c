/*
 * Makes system calls and prints what one took, in nanoseconds. Who supervises them is the measured thing. With several
 * threads, all call at once, and the time is that of the whole crowd divided by the number of calls.
 *
 * Linked statically: no call is made but those that are counted.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The first calls of the first thread warm caches up, on both sides. There are at most as many as are counted. */
#define UNCOUNTED 200

static char *path; /* what is opened: this program */
static long times;
static pthread_barrier_t start;
static void (*call)(void);

static void call_getppid(void) { syscall(SYS_getppid); }

static void call_openat(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	if (fd < 0) {
		perror("caller: openat");
		exit(1);
	}
	close(fd);
}

static void repeat(long n)
{
	while (n-- > 0)
		call();
}

static void *thread(void *unused)
{
	pthread_barrier_wait(&start);
	repeat(times);
	return unused;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Starts all but one of the threads; the caller is the last. */
static double measure(long threads)
{
	pthread_attr_t small;
	pthread_t *others = calloc(threads, sizeof *others);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	pthread_barrier_init(&start, NULL, threads);
	for (long i = 1; i < threads; i++)
		if (pthread_create(&others[i], &small, thread, NULL)) {
			fprintf(stderr, "caller: cannot start thread %ld\n", i);
			exit(1);
		}
	pthread_barrier_wait(&start);
	double began = now();
	repeat(times);
	for (long i = 1; i < threads; i++)
		pthread_join(others[i], NULL);
	return (now() - began) / (times * threads);
}

int main(int argc, char **argv)
{
	long threads = argc == 4 ? atol(argv[3]) : 0;
	path = argv[0];
	times = argc == 4 ? atol(argv[2]) : 0;
	if (argc == 4 && strcmp(argv[1], "getppid") == 0)
		call = call_getppid;
	if (argc == 4 && strcmp(argv[1], "openat") == 0)
		call = call_openat;
	if (!call || times <= 0 || threads <= 0) {
		fprintf(stderr, "usage: %s getppid|openat CALLS THREADS\n", argv[0]);
		return 2;
	}
	repeat(times < UNCOUNTED ? times : UNCOUNTED);
	printf("%.1f\n", measure(threads));
	return 0;
}
