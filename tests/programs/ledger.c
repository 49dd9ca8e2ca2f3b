/* Makes system calls that handlers answer, checks every answer, and keeps books about them in a file.
 *
 * ledger FILE THREADS CALLS SEED
 * Each thread makes CALLS calls. Their arguments tell the handler: which thread, the how-manieth call of it, what kind
 * of answer is wanted, a value for the answer, and the address of that value. The file has a record for each thread. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK 0x50a4UL /* the sixth argument of each call */

/* The kinds of answers; tests/soak/books.py has the same. */
enum kind { CONTINUE, ERRNO, RETURN, RAISE, RUBBISH, INJECT, HOLD, MEMORY, WAIT, LATE, KILL, KINDS };

/* Which calls want which answers, and how many of 100,000 do. */
static const struct row {
	long call;
	enum kind kind;
	uint32_t weight;
} rows[] = {
	{SYS_getppid, CONTINUE, 30000}, {SYS_getppid, ERRNO, 15000},  {SYS_getppid, RETURN, 15000}, {SYS_getppid, RAISE, 1000},
	{SYS_getppid, RUBBISH, 500},	{SYS_getppid, INJECT, 500},   {SYS_getppid, HOLD, 100},	    {SYS_getppid, MEMORY, 8000},
	{SYS_getgid, CONTINUE, 5000},	{SYS_getgid, ERRNO, 2500},    {SYS_getgid, RETURN, 2500},   {SYS_getgid, RAISE, 200},
	{SYS_getgid, INJECT, 100},	{SYS_getgid, MEMORY, 1200},   {SYS_getuid, CONTINUE, 4000}, {SYS_getuid, ERRNO, 2500},
	{SYS_getuid, RETURN, 2500},	{SYS_getuid, RAISE, 200},     {SYS_getuid, LATE, 10},	    {SYS_geteuid, CONTINUE, 3000},
	{SYS_geteuid, ERRNO, 2500},	{SYS_geteuid, RETURN, 2500},  {SYS_geteuid, RAISE, 200},    {SYS_geteuid, RUBBISH, 100},
	{SYS_geteuid, INJECT, 100},	{SYS_geteuid, HOLD, 50},      {SYS_geteuid, MEMORY, 400},   {SYS_geteuid, WAIT, 200},
	{SYS_getegid, RETURN, 129},	{SYS_getegid, LATE, 10},      {SYS_getppid, KILL, 1},
};

static struct record {
	uint64_t made;	      /* calls that were about to be made */
	uint64_t answered;    /* calls that came back */
	uint64_t interrupted; /* by a signal, before anybody saw them; they were made again */
	uint64_t wrong;	      /* answers that were no answers to the call */
	uint64_t got[KINDS];  /* answers */
} *book;

static long calls, parent;
static uint64_t seed;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static const struct row *pick(uint64_t *state)
{
	uint32_t chance = next(state) % 100000;
	const struct row *row = rows;
	while (row + 1 < rows + sizeof rows / sizeof *rows && chance >= row->weight)
		chance -= row++->weight;
	return row;
}

/* What the kernel itself answers; all but the first without asking it, which handlers with a limit would see. */
static long natural(long call)
{
	return call == SYS_getppid  ? parent
	       : call == SYS_getgid ? (long)getauxval(AT_GID)
	       : call == SYS_getuid ? (long)getauxval(AT_UID)
				    : (long)getauxval(AT_EUID);
}

/* Whether the handlers of a call have a limit, which is over, whatever was wanted. */
static int late(const struct row *row, long result, int error)
{
	return (row->call == SYS_getuid || row->call == SYS_getegid) && result == -1 && error == ETIMEDOUT;
}

/* Whether a result is the answer that was wanted. */
static int right(const struct row *row, long result, int error, uint64_t value, uint64_t memory)
{
	uint64_t content;
	int fits;
	switch (row->kind) {
	case CONTINUE:
		return result == natural(row->call);
	case ERRNO:
		return result == -1 && error == (int)(value % 100 + 5); /* never EINTR */
	case RAISE:
	case RUBBISH:
		return result == -1 && error == EIO;
	case INJECT:
		fits = result >= 0 && pread(result, &content, sizeof content, 0) == sizeof content && content == value;
		return close(result) == 0 && fits;
	case MEMORY:
		return result == (long)value && memory == ~value;
	case RETURN:
	case HOLD:
	case WAIT:
		return result == (long)value;
	default:
		return 0;
	}
}

static void *work(void *argument)
{
	struct record *record = argument;
	uint64_t thread = record - book, state = seed * 1000003 + thread + 1;
	while (record->made < (uint64_t)calls) {
		const struct row *row = pick(&state);
		uint64_t value = next(&state) >> 2, memory = value;
		long result;
		record->made++;
		do {
			errno = 0;
			result = syscall(row->call, thread, record->made, row->kind, value, &memory, MARK);
		} while (result == -1 && errno == EINTR && ++record->interrupted);
		if (late(row, result, errno))
			record->got[LATE]++;
		else if (right(row, result, errno, value, memory))
			record->got[row->kind]++;
		else if (record->wrong++ == 0)
			fprintf(stderr, "thread %lu, call %lu (%ld), kind %d, value %lu: %ld, errno %d\n", thread, record->made,
				row->call, row->kind, value, result, errno);
		record->answered++;
	}
	return NULL;
}

static void nothing(int number) { (void)number; }

int main(int argc, char **argv)
{
	long threads = argc == 5 ? atol(argv[2]) : 0;
	if (threads < 1 || threads > 64)
		return 2;
	calls = atol(argv[3]);
	seed = strtoull(argv[4], NULL, 10);
	int file = open(argv[1], O_RDWR);
	book = mmap(NULL, threads * sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (book == MAP_FAILED)
		return 2;
	parent = syscall(SYS_getppid, 0, 0, 0, 0, 0, 0); /* without the mark: the handlers let it go on */
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = nothing}, NULL);
	sigaction(SIGUSR2, &(struct sigaction){.sa_handler = nothing, .sa_flags = SA_RESTART}, NULL);
	pthread_t ids[64];
	for (long i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, &book[i]))
			return 2;
	uint64_t wrong = 0;
	for (long i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		wrong += book[i].wrong;
	}
	return wrong != 0;
}
