/* Two threads, each with a system call: one calls getpgid(2), the other getsid(2), but that one only when it has read a
 * line from the fifo that is the argument. Prints both results. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *fifo;
static long group, session;

static void *first(void *unused)
{
	(void)unused;
	group = syscall(SYS_getpgid, 0);
	return NULL;
}

static void *second(void *unused)
{
	(void)unused;
	char line[16];
	FILE *file = fopen(fifo, "r");
	if (file == NULL || fgets(line, sizeof line, file) == NULL)
		return NULL;
	session = syscall(SYS_getsid, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	fifo = argv[1];
	pthread_t threads[2];
	pthread_create(&threads[0], NULL, first, NULL);
	pthread_create(&threads[1], NULL, second, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("%ld %ld\n", group, session);
	return 0;
}
