/* Enters the kernel by a way with numbers of its own, asks for the process's number there, and prints 1 when told.
 *
 * entries x32|int80 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	long pid = -1;
#ifdef __x86_64__
	if (strcmp(argv[1], "x32") == 0)
		pid = syscall(0x40000000 | 39);
	else
		__asm__ volatile("int $0x80" : "=a"(pid) : "a"(20L) : "r8", "r9", "r10", "r11", "memory");
#endif
	printf("%d\n", (int)pid == getpid());
	return 0;
}
