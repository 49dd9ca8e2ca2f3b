/*
 * Keeps its parent busy: gives it thousands of children that stay, then more and more that exit at once. They are the
 * command's brothers, so that a wait for one of the latter has to look at all of the former, and outlive the command.
 * Everything ends by itself after the given number of seconds.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

enum { STAYING = 8000, MOST = 10000, MAKERS = 4, STACK = 4096, UNPRIVILEGED = 61234 };

static unsigned seconds;

static int stay(void *unused)
{
	(void)unused;
	alarm(seconds);
	while (pause() < 0)
		;
	return 0;
}

static int leave(void *unused)
{
	(void)unused;
	_exit(0);
}

static int make(void *stack)
{
	alarm(seconds);
	while (clone(leave, stack, CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD, NULL) || 1)
		;
	return 0;
}

int main(int argc, char **argv)
{
	(void)argc;
	seconds = (unsigned)atoi(argv[1]);
	/* The limit does not count for root. */
	struct rlimit most;
	if (getrlimit(RLIMIT_NPROC, &most))
		return 1;
	most.rlim_cur = most.rlim_max = most.rlim_max < MOST ? most.rlim_max : MOST;
	int staying = most.rlim_max * STAYING / MOST;
	if (setrlimit(RLIMIT_NPROC, &most) || (geteuid() == 0 && setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)))
		return 1;
	char *stacks = mmap(NULL, (STAYING + 2 * MAKERS) * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stacks == MAP_FAILED)
		return 2;
	for (int i = 0; i < staying; i++)
		if (clone(stay, stacks += STACK, CLONE_VM | CLONE_PARENT | SIGCHLD, NULL) < 0)
			return 3;
	for (int i = 0; i < MAKERS; i++, stacks += 2 * STACK)
		if (clone(make, stacks + STACK, CLONE_VM | CLONE_PARENT | SIGCHLD, stacks + 2 * STACK) < 0)
			return 4;
	/* Until there are more exits than are taken. */
	sleep(1);
	puts("storm");
	fflush(stdout);
	return stay(NULL);
}
