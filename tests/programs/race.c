/* Attacks decisions about paths: race buffer|link open|remove TRIES FOLDER.
 *
 * FOLDER/0/f may be used, FOLDER/1/f may not. The first thread opens or removes what a path leads to, again and again.
 * The second one turns that path to and fro between the two files meanwhile: in memory (buffer), or by exchanging two
 * links to the folders, FOLDER/to0 and FOLDER/to1 (link). The content of each file is the name of its folder. Prints how often the
 * call succeeded, how often it reached the wrong file, and how often it failed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char path[4096];
static volatile char *turning; /* the digit in it */
static volatile int over;

static void *turn_buffer(void *unused)
{
	(void)unused;
	for (unsigned digit = 0; !over; digit++) {
		*turning = '0' + digit % 2;
		for (volatile int pause = 0; pause < 50; pause++)
			;
	}
	return NULL;
}

static void *turn_link(void *unused)
{
	(void)unused;
	while (!over)
		if (renameat2(AT_FDCWD, "to0", AT_FDCWD, "to1", RENAME_EXCHANGE) != 0)
			exit(3);
	return NULL;
}

/* Returns the digit of the file that was opened, or -1. */
static int try_to_open(void)
{
	char digit = 0;
	int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	if (file < 0)
		return -1;
	if (read(file, &digit, 1) != 1)
		exit(4);
	close(file);
	return digit - '0';
}

/* Returns the digit of the file that was removed, or -1. The file is there again afterwards. */
static int try_to_remove(void)
{
	if (syscall(SYS_unlinkat, AT_FDCWD, path, 0) != 0)
		return -1;
	for (int digit = 0; digit < 2; digit++) {
		const char *file = digit ? "1/f" : "0/f";
		if (access(file, F_OK) == 0)
			continue;
		int made = creat(file, 0600);
		if (made < 0 || write(made, digit ? "1" : "0", 1) != 1)
			exit(5);
		close(made);
		return digit;
	}
	exit(6);
}

int main(int argc, char **argv)
{
	if (argc != 5 || chdir(argv[4]) != 0)
		return 2;
	int link = strcmp(argv[1], "link") == 0, removes = strcmp(argv[2], "remove") == 0;
	int length = snprintf(path, sizeof path, "%s/%s0/f", argv[4], link ? "to" : "");
	turning = path + length - 3;
	int right = 0, wrong = 0, failed = 0;
	pthread_t thread;
	if (pthread_create(&thread, NULL, link ? turn_link : turn_buffer, NULL) != 0)
		return 2;
	for (int i = atoi(argv[3]); i > 0; i--) {
		int digit = removes ? try_to_remove() : try_to_open();
		if (digit < 0)
			failed++;
		else if (digit == 0)
			right++;
		else
			wrong++;
	}
	over = 1;
	pthread_join(thread, NULL);
	printf("%d %d %d\n", right, wrong, failed);
	return 0;
}
