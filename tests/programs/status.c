/* Prints what credentials and restrictions the process has: uid euid gid egid no_new_privs seccomp secure, the last one
 * being AT_SECURE, which the kernel sets for a program that gained something by its setuid or setgid bit. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
	printf("%d %d %d %d %d %d %lu\n", getuid(), geteuid(), getgid(), getegid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
	       prctl(PR_GET_SECCOMP, 0, 0, 0, 0), getauxval(AT_SECURE));
	return 0;
}
