/* Calls mkdirat(2) with paths that end at the edge of what is mapped, and prints the errno of each call, 0 for none:
 * a path whose NUL is the last byte before an unmapped page; one without a NUL there; one across two pages; one of 4095
 * bytes and its NUL, the last of them before an unmapped page; one of 4096 bytes; 4095 bytes without a NUL before an
 * unmapped page; a pointer to an unmapped page; one beyond all addresses; null. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

/* A path of this length, of folders that are there, and a name that is not; it ends before an unmapped page. */
static char *padded(size_t length, int terminated)
{
	char *path = map(2) + 2 * page - length - terminated;
	for (size_t i = 0; i < length; i += 2)
		memcpy(path + i, "./", i + 1 < length ? 2 : 1);
	path[length - 1] = 'p';
	if (terminated)
		path[length] = '\0';
	return path;
}

int main(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	char *terminated = map(1) + page - sizeof "edge";
	strcpy(terminated, "edge");
	char *open_ended = map(1) + page - 4;
	memcpy(open_ended, "open", 4);
	char *crossing = map(2) + page - 3;
	strcpy(crossing, "crossing");
	char *paths[] = {terminated,	  open_ended,	   crossing, padded(4095, 1), padded(4096, 1),
			 padded(4095, 0), map(1) + page, (char *)-4096, NULL};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		printf("%d\n", syscall(SYS_mkdirat, AT_FDCWD, paths[i], 0700) == 0 ? 0 : errno);
	return 0;
}
