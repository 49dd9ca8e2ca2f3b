/* Leaves a process behind whose group has no leader any more; that process calls getppid(2), and writes a line to the
 * file that is the argument should it live on. The parent waits for the end of both. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int gone[2], alive[2];
	char byte;
	if (argc != 2 || pipe(gone) != 0 || pipe(alive) != 0)
		return 2;
	pid_t leader = fork();
	if (leader == 0) {
		setpgid(0, 0);
		if (fork() == 0) {
			close(gone[1]);
			if (read(gone[0], &byte, 1) != 0) /* ends when the leader was waited for */
				_exit(2);
			syscall(SYS_getppid);
			int file = open(argv[1], O_WRONLY | O_CREAT, 0600);
			_exit(write(file, "alive\n", 6) != 6);
		}
		_exit(0);
	}
	if (waitpid(leader, NULL, 0) != leader)
		return 2;
	close(gone[0]);
	close(gone[1]);
	close(alive[1]);
	return read(alive[0], &byte, 1) == 0 ? 0 : 2; /* ends with the orphan */
}
