/*
 * Drives child.c as Go does, but from C, so that gcc's sanitizers and valgrind can watch it: see `make sanitize`. Every
 * block that the child is given is malloc's own, with whatever the tool puts around it.
 *
 * With the argument "direct" the reaper's and the command's functions are called in forked processes: valgrind knows no
 * clone(2) with these flags.
 */
#include "child.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STACK = 64 << 10, MOST_STEPS = 16 };

static int failures;

static void *block(size_t size)
{
	void *memory = aligned_alloc(16, (size + 15) & ~(size_t)15);
	if (!memory)
		abort();
	return memset(memory, 0, size);
}

/* A plan as Go's placePlan makes it. */
static struct sandlock_plan plan_of(const struct sandlock_step *steps, int count)
{
	struct sandlock_step *copy = block((size_t)count * sizeof *steps + 1);
	memcpy(copy, steps, (size_t)count * sizeof *steps);
	return (struct sandlock_plan){copy, count, -1, -1, -1, -1, -1};
}

static struct sandlock_launch *launch_of(struct sandlock_plan reaper, struct sandlock_plan command)
{
	struct sandlock_launch *launch = block(sizeof *launch);
	launch->reaper = reaper;
	launch->command = command;
	launch->reaper_stack = (char *)block(STACK) + STACK;
	launch->command_stack = (char *)block(STACK) + STACK;
	launch->command_flags = CLONE_VM;
	launch->host_pid = launch->host_thread = getpid();
	launch->listener = launch->command_pidfd = -1;
	return launch;
}

static void discard(struct sandlock_launch *launch)
{
	int fds[] = {launch->reaper_pidfd, launch->command_pidfd, launch->listener};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] > 2)
			close(fds[i]);
	free((void *)launch->reaper.steps);
	free((void *)launch->command.steps);
	free((char *)launch->reaper_stack - STACK);
	free((char *)launch->command_stack - STACK);
	free(launch);
}

static void check(int right, const char *name, const struct sandlock_launch *launch)
{
	if (right)
		return;
	failures++;
	printf("FAIL %s: failed %d step %d errno %d, exit code %d status %d\n", name, launch->failed, launch->failed_step,
	       launch->failed_errno, launch->exit_code, launch->exit_status);
}

static void finish(struct sandlock_launch *launch)
{
	siginfo_t info;
	while (waitid(P_PIDFD, (id_t)launch->reaper_pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
}

static int start(struct sandlock_launch *launch, const char *name)
{
	int pid = sandlock_start(launch);
	check(pid > 0, name, launch);
	return pid > 0;
}

/* Starts, and waits for the end. */
static void run(struct sandlock_launch *launch, const char *name)
{
	if (start(launch, name))
		finish(launch);
}

#define STEP(call, ...) {call, {__VA_ARGS__}}
#define ADDRESS(of) ((uint64_t)(uintptr_t)(of))
#define FINE STEP(SYS_getppid, 0)
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static char **arguments_of(const char *script)
{
	static char *arguments[] = {"sh", "-c", 0, 0};
	arguments[2] = (char *)script;
	return arguments;
}

static char *no_environment[] = {"PATH=/usr/bin:/bin", 0};
static const struct sandlock_step reaper_steps[] = {FINE, STEP(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1), FINE};

static const uint64_t no_signals = 0;

static struct sandlock_launch *shell(const char *script)
{
	struct sandlock_step steps[] = {
		FINE,
		STEP(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL),
		STEP(SYS_rt_sigprocmask, SIG_SETMASK, ADDRESS(&no_signals), 0, KERNEL_SIGSET_SIZE),
		STEP(SYS_dup, 0),
		STEP(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC),
		STEP(SYS_execve, ADDRESS("/nonexistent/sh"), ADDRESS(arguments_of(script)), ADDRESS(no_environment)),
		STEP(SYS_execve, ADDRESS("/bin/sh"), ADDRESS(arguments_of(script)), ADDRESS(no_environment)),
	};
	struct sandlock_plan command = plan_of(steps, COUNT(steps));
	command.tied_step = 1;
	command.listener_step = 3;
	command.isolated_step = 4;
	command.execute_step = 5;
	return launch_of(plan_of(reaper_steps, COUNT(reaper_steps)), command);
}

static void ends(const char *script, int code, int status)
{
	struct sandlock_launch *launch = shell(script);
	run(launch, script);
	check(launch->failed == SANDLOCK_NOBODY && launch->isolated && launch->exit_code == code &&
		      launch->exit_status == status && launch->listener > 2 && launch->state == SANDLOCK_FINISHED,
	      script, launch);
	discard(launch);
}

static void waits(void)
{
	struct sandlock_launch *launch = shell("exec sleep 1000");
	launch->held = launch->unmapped = 1;
	launch->command.mapped_step = 1;
	if (start(launch, "waits")) {
		check(sandlock_state(launch) == SANDLOCK_UNMAPPED, "waits for the maps", launch);
		sandlock_mapped(launch);
		check(sandlock_state(launch) == SANDLOCK_STARTED, "goes on with the maps", launch);
		check(sandlock_order(launch, launch->command_pid, 0) == 0, "obeys", launch);
		sandlock_release(launch);
		check(sandlock_order(launch, launch->command_pid, SIGTERM) == 0, "obeys again", launch);
		finish(launch);
		check(sandlock_order(launch, launch->command_pid, SIGTERM) == -ESRCH, "is gone", launch);
	}
	check(launch->exit_code == CLD_KILLED && launch->exit_status == SIGTERM, "waits", launch);
	discard(launch);
}

/* Every step of a plan fails in turn, in ways of its own. */
static void fails(void)
{
	static const struct sandlock_step wrong[] = {
		STEP(-1, 0), STEP(SYS_close, ~0ULL), STEP(SYS_openat, AT_FDCWD, 1), STEP(1 << 20, 0),
		STEP(SYS_prctl, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL),
	};
	static const int errnos[] = {ENOSYS, EBADF, EFAULT, ENOSYS, EINVAL};
	for (int who = SANDLOCK_REAPER; who <= SANDLOCK_COMMAND; who++)
		for (int at = 0; at < COUNT(wrong); at++) {
			struct sandlock_step steps[COUNT(wrong)];
			for (int i = 0; i < COUNT(steps); i++)
				steps[i] = i == at ? wrong[at] : (struct sandlock_step)FINE;
			struct sandlock_plan bad = plan_of(steps, COUNT(steps)), good = plan_of(reaper_steps, 1);
			struct sandlock_launch *launch =
				who == SANDLOCK_REAPER ? launch_of(bad, good) : launch_of(good, bad);
			run(launch, "fails");
			check(launch->failed == who && launch->failed_step == at && launch->failed_errno == errnos[at] &&
				      !launch->isolated,
			      "fails", launch);
			discard(launch);
		}
}

/* What execve(2) refuses: as execvp(3) does, the last one is told, or one without permission. */
static void refuses(const char *const *paths, int count, int told, int why)
{
	struct sandlock_step steps[MOST_STEPS];
	for (int i = 0; i < count; i++)
		steps[i] = (struct sandlock_step)STEP(SYS_execve, ADDRESS(paths[i]), ADDRESS(arguments_of("exit 3")),
						      ADDRESS(no_environment));
	struct sandlock_plan command = plan_of(steps, count);
	command.execute_step = 0;
	struct sandlock_launch *launch = launch_of(plan_of(reaper_steps, 0), command);
	run(launch, "refuses");
	if (told < 0)
		check(launch->failed == SANDLOCK_NOBODY && launch->exit_status == 3, "refuses none", launch);
	else
		check(launch->failed == SANDLOCK_COMMAND && launch->failed_step == told && launch->failed_errno == why,
		      "refuses", launch);
	discard(launch);
}

static void refuses_files(void)
{
	static const char *const missing[] = {"/nonexistent", "/etc/passwd/x", "/nonexistent/x"};
	static const char *const forbidden[] = {"/nonexistent", "/etc/passwd", "/nonexistent"};
	static const char *const bad[] = {"/etc/passwd", (const char *)1, "/bin/sh"};
	static const char *const last[] = {"/etc/passwd", "/nonexistent", "/bin/sh"};
	refuses(missing, 3, 2, ENOENT);
	refuses(forbidden, 3, 1, EACCES);
	refuses(bad, 3, 1, EFAULT);
	refuses(last, 3, -1, 0);
}

/* argv and envp up to what the kernel takes, and more. */
static void long_arguments(void)
{
	enum { LONGEST = 128 << 10, MANY = 20000 };
	char *text = block(LONGEST + 1), **many = block((MANY + 1) * sizeof *many);
	for (int over = 0; over <= 1; over++) {
		memset(text, 'x', (size_t)LONGEST - 1 + (size_t)over); /* MAX_ARG_STRLEN counts the NUL */
		for (int i = 0; i < MANY; i++)
			many[i] = text + LONGEST - 1 - i % 20;
		many[1] = text;
		struct sandlock_step step = STEP(SYS_execve, ADDRESS("/bin/true"), ADDRESS(many), ADDRESS(many));
		struct sandlock_plan command = plan_of(&step, 1);
		command.execute_step = 0;
		struct sandlock_launch *launch = launch_of(plan_of(reaper_steps, 0), command);
		run(launch, "long arguments");
		if (over)
			check(launch->failed == SANDLOCK_COMMAND && launch->failed_errno == E2BIG, "too long", launch);
		else
			check(launch->failed == SANDLOCK_NOBODY && launch->exit_status == 0, "long", launch);
		discard(launch);
	}
	free(text);
	free(many);
}

/* The numbers of so many children take more than one read, which may cut one in two. */
static void many_children(void)
{
	ends("i=0; while [ $i -lt 1500 ]; do sleep 1000 & i=$((i+1)); done; exit 7", CLD_EXITED, 7);
}

static void host_that_is_gone(void)
{
	struct sandlock_launch *launch = shell("exec sleep 1000");
	launch->host_thread = -1;
	launch->host_pid = -1;
	run(launch, "host that is gone");
	check(launch->failed == SANDLOCK_REAPER && launch->failed_step == SANDLOCK_STEP_WATCH, "host", launch);
	discard(launch);
}

/* The same functions in forked processes, which see the same memory only until then: what they tell is the status. */
static int in_process(int (*entry)(void *), struct sandlock_launch *launch)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(entry(launch));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int failing_command(void *argument)
{
	struct sandlock_launch *launch = argument;
	if (walk(launch, &launch->command, SANDLOCK_COMMAND))
		execute(launch, &launch->command, SANDLOCK_COMMAND);
	return launch->failed_step;
}

static int tree(void *argument)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < 50; i++)
		if (fork() == 0)
			pause();
	kill_tree(argument);
	int gone = 0;
	return reap(argument, 1, &gone);
}

static int reaped(void *argument)
{
	struct sandlock_launch *launch = argument;
	int gone = 0;
	launch->command_pid = fork();
	if (launch->command_pid == 0)
		_exit(9);
	return !reap(launch, 1, &gone) && gone && launch->exit_status == 9 ? 0 : 1;
}

static void all_direct(void)
{
	struct sandlock_launch *launch = shell("exit 5");
	launch->reaper_pid = getpid();
	check(in_process(command_main, launch) == 5, "direct command", launch);
	launch->command.count = 6;
	check(in_process(failing_command, launch) == 5, "direct command that fails", launch);
	launch->command.execute_step = -1;
	check(in_process(failing_command, launch) == 5, "direct step that fails", launch);
	check(in_process(tree, launch) == 0, "direct tree", launch);
	check(in_process(reaped, launch) == 0, "direct reap", launch);
	discard(launch);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "direct") == 0) {
		all_direct();
	} else {
		for (int round = 0; round < 10; round++) {
			ends("exit 0", CLD_EXITED, 0);
			ends("exit 42", CLD_EXITED, 42);
			ends("kill -KILL $$", CLD_KILLED, SIGKILL);
			ends("(sleep 1000 &) ; exit 0", CLD_EXITED, 0);
			waits();
			fails();
			refuses_files();
			long_arguments();
			host_that_is_gone();
		}
		many_children();
	}
	printf("%d failures\n", failures);
	return failures != 0;
}
