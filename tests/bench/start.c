/*
 * Starts a command and waits for its end, and prints what that took, in nanoseconds: the median of a few times.
 *
 * "spawn" is posix_spawn(3), its output in pipes. "launch" makes the system calls of a sandlock launch, one after the
 * other, with nothing that decides about them: rulesets of Landlock, a reaper in between, a seccomp filter of the usual
 * length. So it is what is left when Python and Go take no time at all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UPS 2
#define STACK (64 << 10)
#define INSTRUCTIONS 109 /* of the default policy's filter */
#define REFER (1ULL << 13)
#define READ_FILES 0xdULL  /* execute, read files, list folders */
#define EVERY_FILE 0xffffULL /* what Landlock ABI 6 knows */
#define EVERY_PORT 3ULL
#define EVERY_SCOPE 3ULL
#define SIGNAL_SCOPE 2ULL

extern char **environ;
static char **command;
static char **paths;
static int path_count;

static int input, output[2], errors[2], ruleset, scope, command_pidfd;
static pid_t host;
static uint32_t isolated;
static struct __user_cap_header_struct capability_version = {.version = _LINUX_CAPABILITY_VERSION_3};
static struct __user_cap_data_struct capabilities[2];
static struct sock_filter filter[INSTRUCTIONS];
static char reaper_stack[STACK] __attribute__((aligned(16))), command_stack[STACK] __attribute__((aligned(16)));

static void fail(const char *what)
{
	fprintf(stderr, "start: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static int check(long result, const char *what)
{
	if (result < 0)
		fail(what);
	return (int)result;
}

static int make_ruleset(uint64_t files, uint64_t ports, uint64_t scopes)
{
	uint64_t handled[] = {files, ports, scopes};
	return check(syscall(SYS_landlock_create_ruleset, handled, sizeof handled, 0), "make a ruleset");
}

static void grant(int set, const char *path, uint64_t access)
{
	struct __attribute__((packed)) {
		uint64_t access;
		int32_t parent;
	} rule = {access, check(open(path, O_PATH | O_CLOEXEC), path)};
	check(syscall(SYS_landlock_add_rule, set, 1, &rule, 0), "add a rule");
	close(rule.parent);
}

/* Allows everything, and so is no slower than ours: what counts is its length. */
static void make_filter(void)
{
	filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	filter[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1000, 0, INSTRUCTIONS - 3);
	for (int i = 2; i < INSTRUCTIONS - 1; i++)
		filter[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1000 + i, 0, 0);
	filter[INSTRUCTIONS - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static int command_main(void *unused)
{
	struct rlimit core = {1, 1};
	struct sock_fprog program = {INSTRUCTIONS, filter};
	sigset_t none;
	(void)unused;
	sigemptyset(&none);
	check(setsid(), "setsid");
	check(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "tie the command");
	check(syscall(SYS_capset, &capability_version, capabilities), "capset");
	check(setrlimit(RLIMIT_CORE, &core), "setrlimit");
	check(sigprocmask(SIG_SETMASK, &none, NULL), "sigprocmask");
	check(syscall(SYS_landlock_restrict_self, ruleset, 0), "restrict the command");
	check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "install the filter");
	check(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC), "close_range");
	__atomic_store_n(&isolated, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &isolated, FUTEX_WAKE, 1, NULL, NULL, 0);
	check(dup3(input, 0, 0), "dup3");
	check(dup3(output[1], 1, 0), "dup3");
	check(dup3(errors[1], 2, 0), "dup3");
	execve(command[0], command, environ);
	return 127;
}

static int reaper_main(void *unused)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t children;
	struct signalfd_siginfo seen;
	(void)unused;
	for (int signal = 1; signal <= 64; signal++)
		sigaction(signal, &standard, NULL);
	check(setsid(), "setsid");
	check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper");
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	check(prctl(PR_SET_NAME, "start-reaper", 0, 0, 0), "name");
	check(syscall(SYS_landlock_restrict_self, scope, 0), "restrict the reaper");
	pid_t child = check(clone(command_main, command_stack + STACK, CLONE_VM | CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL,
				  &command_pidfd), "clone the command");
	check(syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE), "close_range");
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	struct pollfd watched[] = {{.fd = check(syscall(SYS_pidfd_open, host, 0), "pidfd_open"), .events = POLLIN},
				   {.fd = check(signalfd(-1, &children, SFD_NONBLOCK), "signalfd"), .events = POLLIN}};
	while (waitpid(child, NULL, WNOHANG) == 0)
		if (poll(watched, 2, -1) > 0 && watched[1].revents)
			read(watched[1].fd, &seen, sizeof seen);
	return 0;
}

/* Reads what comes until nobody can write any more, or something else is over. */
static void drain(int over)
{
	char buffer[4096];
	struct pollfd watched[] = {
	    {.fd = over, .events = POLLIN}, {.fd = output[0], .events = POLLIN}, {.fd = errors[0], .events = POLLIN}};
	while (!watched[0].revents && (over >= 0 || watched[1].fd >= 0 || watched[2].fd >= 0)) {
		poll(watched, 3, -1);
		for (int i = 1; i < 3; i++)
			if (watched[i].revents && read(watched[i].fd, buffer, sizeof buffer) <= 0) {
				close(watched[i].fd);
				watched[i].fd = -1;
			}
	}
	for (int i = 1; i < 3; i++)
		if (watched[i].fd >= 0)
			close(watched[i].fd);
}

static void make_pipes(void)
{
	check(pipe2(output, O_CLOEXEC), "pipe2");
	check(pipe2(errors, O_CLOEXEC), "pipe2");
}

static void launch(void)
{
	sigset_t all, before;
	int reaper_pidfd, wakeup = check(eventfd(0, EFD_CLOEXEC), "eventfd");
	ruleset = make_ruleset(EVERY_FILE, EVERY_PORT, EVERY_SCOPE);
	for (int i = 0; i < path_count; i++)
		grant(ruleset, paths[i], READ_FILES);
	scope = make_ruleset(REFER, 0, SIGNAL_SCOPE);
	grant(scope, "/", REFER);
	check(syscall(SYS_capget, &capability_version, capabilities), "capget");
	input = check(fcntl(0, F_DUPFD_CLOEXEC, 3), "fcntl");
	make_pipes();
	isolated = 0;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	check(clone(reaper_main, reaper_stack + STACK, CLONE_VM | CLONE_FILES | CLONE_PIDFD, NULL, &reaper_pidfd),
	      "clone the reaper");
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (__atomic_load_n(&isolated, __ATOMIC_SEQ_CST) == 0)
		syscall(SYS_futex, &isolated, FUTEX_WAIT, 0, NULL, NULL, 0);
	for (int *fd = (int[]){ruleset, scope, input, output[1], errors[1], -1}; *fd >= 0; fd++)
		close(*fd);
	drain(reaper_pidfd);
	check(waitid(P_PIDFD, reaper_pidfd, &(siginfo_t){0}, WEXITED | __WALL), "waitid");
	close(reaper_pidfd);
	close(command_pidfd);
	close(wakeup);
}

static void spawn(void)
{
	pid_t child;
	posix_spawn_file_actions_t actions;
	make_pipes();
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, output[1], 1);
	posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	errno = posix_spawn(&child, command[0], &actions, NULL, command, environ);
	if (errno)
		fail("posix_spawn");
	posix_spawn_file_actions_destroy(&actions);
	close(output[1]);
	close(errors[1]);
	drain(-1);
	waitpid(child, NULL, 0);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	int times = argc > 4 ? atoi(argv[2]) : 0, descriptors = argc > 4 ? atoi(argv[3]) : 0;
	if (times <= 0 || (strcmp(argv[1], "spawn") && strcmp(argv[1], "launch"))) {
		fprintf(stderr, "usage: %s spawn|launch TIMES DESCRIPTORS COMMAND [READABLE...]\n", argv[0]);
		return 2;
	}
	void (*start)(void) = argv[1][0] == 's' ? spawn : launch;
	command = (char *[]){argv[4], NULL};
	paths = argv + 5;
	path_count = argc - 5;
	host = getpid();
	make_filter();
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	while (descriptors-- > 0)
		check(open("/dev/null", O_RDONLY | O_CLOEXEC), "open /dev/null");
	double *took = calloc(times, sizeof *took);
	for (int i = -WARM_UPS; i < times; i++) {
		double began = now();
		start();
		if (i >= 0)
			took[i] = now() - began;
	}
	qsort(took, times, sizeof *took, compare);
	printf("%.1f\n", took[times / 2]);
	return 0;
}
