/* Makes processes that die while they are in a system call: mortal COUNT.
 *
 * Each has a thread that opens /dev/null with openat2(2), while another one calls getpgid(2), and then ends them both. When
 * the process is gone, and waited for, its parent calls getppid(2). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *pending(void *unused)
{
	(void)unused;
	struct open_how how = {.flags = O_RDONLY};
	syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof how);
	_exit(3); /* it came back */
}

int main(int argc, char **argv)
{
	for (int i = argc == 2 ? atoi(argv[1]) : 0; i > 0; i--) {
		pid_t child = fork();
		if (child == 0) {
			pthread_t thread;
			if (pthread_create(&thread, NULL, pending, NULL) != 0)
				_exit(2);
			syscall(SYS_getpgid, 0);
			_exit(0);
		}
		int status;
		if (waitpid(child, &status, 0) != child || status != 0)
			return 1;
		syscall(SYS_getppid);
	}
	return 0;
}
