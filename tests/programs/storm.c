/* Calls getpgid(1), getpgid(2) and so on while a timer interrupts it at 1 kHz, each until it gets its number back.
 *
 * storm CALLS
 * Prints how many calls were answered with their number, how many were interrupted, and how many signals came. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t ticks;

static void tick(int number)
{
	(void)number;
	ticks++;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	long calls = atol(argv[1]), answered = 0, interrupted = 0;
	struct sigaction action = {.sa_handler = tick}; /* without SA_RESTART */
	struct itimerval every = {{0, 1000}, {0, 1000}};
	if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0)
		return 2;
	for (long number = 1; number <= calls; number++) {
		long result;
		while ((result = syscall(SYS_getpgid, number)) == -1 && errno == EINTR)
			interrupted++;
		answered += result == number;
	}
	printf("%ld %ld %d\n", answered, interrupted, (int)ticks);
	return 0;
}
