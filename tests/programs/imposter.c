/* Attacks decisions about programs: imposter TRIES FOLDER.
 *
 * FOLDER/0/run may be executed, FOLDER/1/run may not. Children execute a path, which a second thread turns to and fro
 * between the two meanwhile, in memory that parent and children share. Prints how many children there were of each
 * exit status: 0 and 1, which the programs exit with, 2 for an execve that failed, 3 for a child that was killed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[4096];
static volatile char *turning; /* the digit in it */
static volatile int over;

static void *turn(void *unused)
{
	(void)unused;
	for (unsigned digit = 0; !over; digit++) {
		*turning = '0' + digit % 2;
		for (volatile int pause = 0; pause < 200; pause++)
			;
	}
	return NULL;
}

int main(int count, char **arguments)
{
	int counted[4] = {0};
	if (count != 3)
		return 2;
	snprintf(path, sizeof path, "%s/0/run", arguments[2]);
	turning = path + strlen(arguments[2]) + 1;
	pthread_t thread;
	if (pthread_create(&thread, NULL, turn, NULL) != 0)
		return 2;
	for (int i = 0; i < atoi(arguments[1]); i++) {
		char *argv[] = {"run", NULL}, *environment[] = {NULL};
		int status;
		pid_t child = vfork();
		if (child < 0)
			return 2;
		if (child == 0) {
			execve(path, argv, environment);
			_exit(2);
		}
		waitpid(child, &status, 0);
		counted[WIFSIGNALED(status) ? 3 : WEXITSTATUS(status)]++;
	}
	over = 1;
	pthread_join(thread, NULL);
	printf("%d %d %d %d\n", counted[0], counted[1], counted[2], counted[3]);
	return 0;
}
