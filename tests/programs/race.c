/* Attacks decisions about paths: race buffer|link open|remove|connect|bind TRIES FOLDER.
 *
 * FOLDER/0/f may be used, FOLDER/1/f may not. The first thread opens or removes what a path leads to, connects to the
 * socket there, or binds one that it removes, again and again. The second one turns that path to and fro between the two
 * files meanwhile: in memory (buffer), or by exchanging two links to the folders, FOLDER/to0 and FOLDER/to1 (link). The
 * content of each file is the name of its folder, and sockets are bound by a path that ends with 0/f or 1/f. After TRIES
 * it goes on until the call has reached the right file and failed ENOUGH times, twenty times as often at most. Prints how
 * often it reached the right file, how often the wrong one, and how often it failed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { ENOUGH = 10 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char path[4096]; /* or the one in address */
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

/* Returns the digit of the socket that was connected to, or -1. */
static int try_to_connect(void)
{
	struct sockaddr_un peer = {0};
	socklen_t size = sizeof peer - 1;
	int digit = -1, fresh = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fresh, (void *)&address, sizeof address) == 0) {
		if (getpeername(fresh, (void *)&peer, &size) != 0)
			exit(7);
		digit = peer.sun_path[strlen(peer.sun_path) - 3] - '0';
	}
	close(fresh);
	return digit;
}

/* Returns the digit of the folder in which a socket was bound, or -1. */
static int try_to_bind(void)
{
	int digit = -1, fresh = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(fresh, (void *)&address, sizeof address) == 0 && (digit = unlink("0/f") == 0 ? 0 : 1) == 1)
		unlink("1/f");
	close(fresh);
	return digit;
}

static int (*const tries[])(void) = {try_to_open, try_to_remove, try_to_connect, try_to_bind};
static const char *const names[] = {"open", "remove", "connect", "bind"};

int main(int argc, char **argv)
{
	if (argc != 5 || chdir(argv[4]) != 0)
		return 2;
	int link = strcmp(argv[1], "link") == 0, what = 0;
	while (strcmp(argv[2], names[what]) != 0)
		if (++what == 4)
			return 2;
	char *text = what < 2 ? path : address.sun_path;
	int length = snprintf(text, what < 2 ? sizeof path : sizeof address.sun_path, "%s/%s0/f", argv[4], link ? "to" : "");
	turning = text + length - 3;
	int right = 0, wrong = 0, failed = 0;
	pthread_t thread;
	if (pthread_create(&thread, NULL, link ? turn_link : turn_buffer, NULL) != 0)
		return 2;
	int least = atoi(argv[3]);
	for (int i = 0; i < least || (i < 20 * least && (right < ENOUGH || failed < ENOUGH)); i++) {
		int digit = tries[what]();
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
