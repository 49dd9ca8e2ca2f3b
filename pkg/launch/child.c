/* The reaper and the command between clone and execve: see doc.go. Nothing here calls libc. */
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "rawcall.h"

#define CALL0(nr) rawcall(nr, 0, 0, 0, 0, 0, 0)
#define CALL1(nr, a) rawcall(nr, (uint64_t)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b) rawcall(nr, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c) rawcall(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d) rawcall(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)
#define CALL5(nr, a, b, c, d, e) \
	rawcall(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), 0)

/* From linux/pidfd.h, where it is new. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

/* The kernel's struct siginfo for waitid: 128 bytes, of which these are read. */
struct wait_info {
	int32_t signo, error, code, pad;
	int32_t pid, uid, status;
	int32_t rest[25];
};

#define KERNEL_SIGSET_SIZE 8
#define NONCE_HIGH(launch) ((launch)->nonce & 0xffffffff00000000ULL)
#define NONCE_LOW(launch) ((launch)->nonce << 32)

/* The kernel ignores the upper halves of a futex call's op and val; the filter of the command looks for the nonce there. */
static void tell(struct sandlock_launch *launch, uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	CALL3(SYS_futex, word, FUTEX_WAKE | NONCE_HIGH(launch), INT32_MAX | NONCE_LOW(launch));
}

static void wait_while(struct sandlock_launch *launch, uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
		CALL4(SYS_futex, word, FUTEX_WAIT | NONCE_HIGH(launch), value | NONCE_LOW(launch), 0);
}

static void fail(struct sandlock_launch *launch, int32_t who, int32_t step, long result)
{
	launch->failed = who;
	launch->failed_step = step;
	launch->failed_errno = (int32_t)-result;
}

/* Whether execvp(3) would look further along PATH. */
static int passed_over(long result)
{
	return result == -EACCES || result == -ENOENT || result == -ENOTDIR || result == -ENODEV ||
	       result == -ESTALE || result == -ETIMEDOUT;
}

/* Makes the attempts to execute the command, which return only to fail, or because somebody answered who did not perform
   the call. As in execvp(3) a file without permission is what counts, when there is no other. */
static void execute(struct sandlock_launch *launch, const struct sandlock_plan *plan, int32_t who)
{
	int32_t told = -1;
	long why = 0;
	for (int32_t i = plan->execute_step; i < plan->count; i++) {
		const uint64_t *a = plan->steps[i].args;
		long result = rawcall((long)plan->steps[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (told < 0 || why != -EACCES || !passed_over(result)) {
			told = i;
			why = result;
		}
		if (!passed_over(result))
			break;
	}
	fail(launch, who, told, why);
}

/* A command that is killed when it has a listener, and before it has told the number, leaves the host a descriptor that
   nobody knows. So the reaper lets it tell, and it begins nothing once the reaper is about to kill. */
static int begin_listening(struct sandlock_launch *launch)
{
	__atomic_store_n(&launch->listening, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&launch->ending, __ATOMIC_SEQ_CST))
		return 1;
	__atomic_store_n(&launch->listening, 0, __ATOMIC_SEQ_CST);
	return 0;
}

static void end_listening(struct sandlock_launch *launch, long result)
{
	if (result >= 0)
		launch->listener = (int32_t)result;
	__atomic_store_n(&launch->listening, 0, __ATOMIC_SEQ_CST);
}

/* The reaper's side of it; for a second, should somebody else have killed the command in between. */
static void let_it_tell(struct sandlock_launch *launch)
{
	int64_t pause[2] = {0, 1000 * 1000};
	__atomic_store_n(&launch->ending, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 1000 && __atomic_load_n(&launch->listening, __ATOMIC_SEQ_CST); i++)
		CALL2(SYS_nanosleep, pause, 0);
}

/* False when a step has failed. */
static int walk(struct sandlock_launch *launch, const struct sandlock_plan *plan, int32_t who)
{
	int32_t count = plan->execute_step >= 0 ? plan->execute_step : plan->count;
	for (int32_t i = 0; i < count; i++) {
		const struct sandlock_step *step = &plan->steps[i];
		const uint64_t *a = step->args;
		if (i == plan->mapped_step) {
			tell(launch, &launch->state, SANDLOCK_UNMAPPED);
			wait_while(launch, &launch->unmapped, 1);
		}
		if (i == plan->listener_step && !begin_listening(launch))
			return 0;
		long result = rawcall((long)step->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		/* The descriptor table is still the host's: the listener is open there under this number. */
		if (i == plan->listener_step)
			end_listening(launch, result);
		if (result < 0) {
			fail(launch, who, i, result);
			return 0;
		}
		/* A reaper that was gone before takes nobody along any more. */
		if (i == plan->tied_step && CALL0(SYS_getppid) != launch->reaper_pid)
			return 0;
		/* From here on the host may close what it opened for the command. */
		if (i == plan->isolated_step) {
			launch->isolated = 1;
			tell(launch, &launch->state, SANDLOCK_STARTED);
		}
	}
	return 1;
}

static int command_main(void *argument)
{
	struct sandlock_launch *launch = argument;
	if (walk(launch, &launch->command, SANDLOCK_COMMAND)) {
		wait_while(launch, &launch->held, 1);
		execute(launch, &launch->command, SANDLOCK_COMMAND);
	}
	CALL1(SYS_exit_group, 127);
	return 127;
}

/* The most that is taken before the reaper looks at what else there is: a tree may end processes faster than the kernel
   finds the ended ones among many. */
enum { EXITS_AT_ONCE = 64 };

/* What reap leaves. */
enum { NO_CHILDREN, NO_EXITS, MORE_EXITS };

/* Takes exits that are there to be taken; blocking waits for at least one. Returns what it leaves, where MORE_EXITS is a
   guess, or a negative errno when that cannot be told. */
static int reap(struct sandlock_launch *launch, int blocking, int *command_gone)
{
	int options = WEXITED | __WALL | (blocking ? 0 : WNOHANG);
	for (int taken = 0; taken < EXITS_AT_ONCE; taken++) {
		struct wait_info info = {0};
		long result;
		do
			result = CALL5(SYS_waitid, P_ALL, 0, &info, options, 0);
		while (result == -EINTR);
		if (result < 0)
			return result == -ECHILD ? NO_CHILDREN : (int)result;
		if (info.pid == 0)
			return NO_EXITS;
		if (info.pid == *(volatile int32_t *)&launch->command_pid) {
			launch->exit_code = info.code;
			launch->exit_status = info.status;
			*command_gone = 1;
		}
		options |= WNOHANG;
	}
	return MORE_EXITS;
}

/* Kernels without the signal scope: kill the children that /proc lists; theirs become ours and are next. */
static void kill_children(void)
{
	char text[4096];
	long fd = CALL4(SYS_openat, AT_FDCWD, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	int64_t pid = 0;
	long length;
	while ((length = CALL3(SYS_read, fd, text, sizeof text)) > 0) {
		for (long i = 0; i < length; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (text[i] - '0');
			} else if (pid != 0) {
				CALL2(SYS_kill, pid, SIGKILL);
				pid = 0;
			}
		}
	}
	CALL1(SYS_close, fd);
}

static void kill_tree(struct sandlock_launch *launch)
{
	int command_gone = 0, left;
	let_it_tell(launch);
	do {
		/* One kill reaches the whole tree at once, and no fork can slip past it: kill(2) holds the task list, and
		   a task with a signal pending does not fork. Landlock keeps it from everybody else. */
		if (launch->contained)
			CALL2(SYS_kill, -1, SIGKILL);
		else
			kill_children();
		left = reap(launch, 1, &command_gone);
	} while (left > 0);
}

/* Passes a signal on, to all that it is meant for at once: see kill_tree. */
static void obey(struct sandlock_launch *launch)
{
	if (__atomic_load_n(&launch->order, __ATOMIC_SEQ_CST) == 0)
		return;
	CALL2(SYS_kill, launch->order_target, launch->order_signal);
	tell(launch, &launch->order, 0);
}

/* Returns when the command is gone: true; or the host's program, or when neither can be watched. */
static int watch(struct sandlock_launch *launch)
{
	uint64_t awaited = 1ULL << (SIGCHLD - 1) | 1ULL << (SANDLOCK_ORDER_SIGNAL - 1);
	long host = CALL2(SYS_pidfd_open, launch->host_thread, PIDFD_THREAD);
	if (host == -EINVAL) /* before Linux 6.9; an execve of the host goes unnoticed there */
		host = CALL2(SYS_pidfd_open, launch->host_pid, 0);
	long signals = CALL4(SYS_signalfd4, -1, &awaited, KERNEL_SIGSET_SIZE, O_NONBLOCK);
	if (host < 0 || signals < 0) {
		/* A host that is gone already is no failure: there is nobody to read of it. */
		fail(launch, SANDLOCK_REAPER, SANDLOCK_STEP_WATCH, host < 0 ? host : signals);
		return 0;
	}
	if (CALL0(SYS_getppid) != launch->host_pid)
		return 0; /* the number may be somebody else's by now */

	struct pollfd watched[2] = {{.fd = (int)host, .events = POLLIN}, {.fd = (int)signals, .events = POLLIN}};
	int64_t at_once[2] = {0, 0};
	int command_gone = 0;
	int left = reap(launch, 0, &command_gone); /* an exit from before the signal was watched */
	while (!command_gone) {
		long result = left < 0 ? left : CALL5(SYS_ppoll, watched, 2, left == MORE_EXITS ? at_once : 0, 0, 0);
		if (result < 0 && result != -EINTR) {
			fail(launch, SANDLOCK_REAPER, SANDLOCK_STEP_WATCH, result);
			return 0;
		}
		if (result > 0 && watched[0].revents)
			return 0;
		if (result > 0 && watched[1].revents) {
			char ignored[128];
			CALL3(SYS_read, signals, ignored, sizeof ignored);
		}
		left = reap(launch, 0, &command_gone);
		if (!command_gone)
			obey(launch);
	}
	return 1;
}

/* Handlers end with execve anyway, but ignored signals stay ignored, and a host that ignores SIGCHLD would lose the
   command's exit. The command inherits this. */
static void reset_signals(void)
{
	static const uint64_t default_action[4]; /* struct sigaction of the kernel */
	for (int signal = 1; signal <= 64; signal++)
		CALL4(SYS_rt_sigaction, signal, default_action, 0, KERNEL_SIGSET_SIZE);
}

static int reaper_main(void *argument)
{
	struct sandlock_launch *launch = argument;
	reset_signals();
	launch->reaper_pid = (int32_t)CALL0(SYS_getpid);
	if (walk(launch, &launch->reaper, SANDLOCK_REAPER)) {
		/* The pidfd of the command opens in the descriptor table that the host still shares. */
		long pid = rawclone(CLONE_FILES | CLONE_PIDFD | CLONE_CHILD_SETTID | SIGCHLD | launch->command_flags,
				    launch->command_stack, &launch->command_pidfd, &launch->command_pid, command_main,
				    launch);
		if (pid < 0) {
			fail(launch, SANDLOCK_REAPER, SANDLOCK_STEP_CLONE, pid);
			launch->command_pidfd = -1; /* it may have been made, told, and taken back */
		} else {
			/* A table of its own, empty: the reaper keeps nothing of the host's open. */
			long result = CALL3(SYS_close_range, 0, UINT32_MAX, CLOSE_RANGE_UNSHARE);
			int regular = 0;
			if (result < 0)
				fail(launch, SANDLOCK_REAPER, SANDLOCK_STEP_WATCH, result);
			else
				regular = watch(launch);
			kill_tree(launch);
			if (!regular && launch->cgroup != 0) /* nobody else will */
				CALL3(SYS_unlinkat, AT_FDCWD, launch->cgroup, AT_REMOVEDIR);
		}
	}
	tell(launch, &launch->state, SANDLOCK_FINISHED);
	return 0;
}

/* The host's way to wait for what the reaper, or the command that dies with it, has to tell: false when the reaper is
   gone. */
static int told_by_reaper(struct sandlock_launch *launch, uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) {
		struct pollfd reaper = {.fd = launch->reaper_pidfd, .events = POLLIN};
		int64_t pause[2] = {0, 10 * 1000 * 1000}, at_once[2] = {0, 0};
		if (CALL4(SYS_futex, word, FUTEX_WAIT, value, pause) == -ETIMEDOUT &&
		    CALL5(SYS_ppoll, &reaper, 1, at_once, 0, 0) > 0)
			return __atomic_load_n(word, __ATOMIC_SEQ_CST) != value;
	}
	return 1;
}

int sandlock_start(struct sandlock_launch *launch)
{
	uint64_t all = ~0ULL, before;
	CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_SIZE);
	/* No exit signal: the host's own SIGCHLD handling and wait calls never see the reaper. */
	long pid = rawclone(CLONE_VM | CLONE_FILES | CLONE_PIDFD, launch->reaper_stack, &launch->reaper_pidfd, 0,
			    reaper_main, launch);
	CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, KERNEL_SIGSET_SIZE);
	if (pid < 0)
		return (int)pid;
	told_by_reaper(launch, &launch->state, SANDLOCK_LAUNCHING);
	return (int)pid;
}

uint32_t sandlock_state(struct sandlock_launch *launch)
{
	return __atomic_load_n(&launch->state, __ATOMIC_SEQ_CST);
}

void sandlock_mapped(struct sandlock_launch *launch)
{
	tell(launch, &launch->unmapped, 0);
	told_by_reaper(launch, &launch->state, SANDLOCK_UNMAPPED);
}

void sandlock_release(struct sandlock_launch *launch)
{
	tell(launch, &launch->held, 0);
}

int sandlock_order(struct sandlock_launch *launch, int target, int signal)
{
	launch->order_target = target;
	launch->order_signal = signal;
	__atomic_store_n(&launch->order, 1, __ATOMIC_SEQ_CST);
	long result = CALL4(SYS_pidfd_send_signal, launch->reaper_pidfd, SANDLOCK_ORDER_SIGNAL, 0, 0);
	if (result < 0)
		return (int)result;
	/* One that ends the tree takes no orders. */
	return told_by_reaper(launch, &launch->order, 1) ? 0 : -ESRCH;
}
