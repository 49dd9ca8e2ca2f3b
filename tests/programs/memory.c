/* Makes one getppid(2), whose arguments the kernel ignores, with addresses of what a handler reads and writes. Then
 * prints what it finds in the writable buffer and in the constant one.
 *
 * args: [0] a string whose NUL is the last byte before an unmapped page, [1] the same without a NUL, [2] a string of
 * 5000 x that begins 10 bytes before the end of a page, [3] "constant" in memory that may only be read, [4] a buffer of
 * 64 bytes with "before", the rest zero, [5] a string of 100 KiB of y. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t page;

static char *map(size_t pages)
{
	char *start = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED || munmap(start + pages * page, page) != 0)
		exit(2);
	return start;
}

int main(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);

	char *terminated = map(1) + page - sizeof "edge";
	strcpy(terminated, "edge");
	char *open_ended = map(1) + page - 4;
	memcpy(open_ended, "open", 4);
	char *crossing = map(3) + page - 10;
	memset(crossing, 'x', 5000);
	char *constant = map(1);
	strcpy(constant, "constant");
	if (mprotect(constant, page, PROT_READ) != 0)
		return 2;
	char *buffer = map(1) + page - 64;
	strcpy(buffer, "before");
	char *large = calloc(1, (100 << 10) + 1);
	memset(large, 'y', 100 << 10);

	syscall(SYS_getppid, terminated, open_ended, crossing, constant, buffer, large);
	printf("%s\n%s\n", buffer, constant);
	return 0;
}
