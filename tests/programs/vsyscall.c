/* Asks for the time through the vsyscall page, at its fixed address, and prints the result. */
#include <stdio.h>

int main(void)
{
#ifdef __x86_64__
	long (*time)(long *) = (long (*)(long *))0xffffffffff600400;
	printf("%ld\n", time(NULL));
#endif
	return 0;
}
