/* Opens /dev/null with openat2(2), which no libc calls by itself, again and again: opens COUNT close|keep.
 * Each is followed by a getppid(2), for a handler that wants to know. Prints how many succeeded, how many failed, and
 * the last errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct open_how how = {.flags = O_RDONLY};
	int succeeded = 0, failed = 0, error = 0, keep = strcmp(argv[2], "keep") == 0;
	for (int i = atoi(argv[1]); i > 0; i--) {
		int fd = syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof how);
		if (fd < 0) {
			failed++;
			error = errno;
		} else {
			succeeded++;
			if (!keep)
				close(fd);
		}
		syscall(SYS_getppid);
	}
	printf("%d %d %d\n", succeeded, failed, error);
	return 0;
}
