/* What the host, the reaper and the command share: one struct in memory that all three map. */
#ifndef SANDLOCK_CHILD_H
#define SANDLOCK_CHILD_H

#include <signal.h>
#include <stdint.h>

/* One system call; every pointer in it was placed by the host beforehand. */
struct sandlock_step {
	int64_t nr;
	uint64_t args[6];
};

struct sandlock_plan {
	const struct sandlock_step *steps;
	int32_t count;
	int32_t listener_step; /* the step whose result is the seccomp listener, or -1 */
	int32_t isolated_step; /* the step that leaves the host's descriptor table, or -1 */
	int32_t tied_step;     /* the step after which the plan ends with the reaper, or -1 */
	int32_t execute_step;  /* the first of the last steps, one of which executes the command, or -1; held before it */
	int32_t mapped_step;   /* the step before which the plan waits for the maps of its user namespace, or -1 */
};

/* Who failed. */
enum { SANDLOCK_NOBODY, SANDLOCK_REAPER, SANDLOCK_COMMAND };

/* The reaper's own work, in the place of a step's index. */
enum { SANDLOCK_STEP_CLONE = -1, SANDLOCK_STEP_WATCH = -2 };

/* Tells the reaper of an order; nothing of the tree can send it where Landlock has the signal scope. */
#define SANDLOCK_ORDER_SIGNAL SIGUSR1

/* A futex word that only grows. */
enum { SANDLOCK_LAUNCHING, SANDLOCK_UNMAPPED, SANDLOCK_STARTED, SANDLOCK_FINISHED };

struct sandlock_launch {
	/* From the host. */
	struct sandlock_plan reaper;
	struct sandlock_plan command;
	void *reaper_stack;  /* the end: stacks grow down */
	void *command_stack;
	uint64_t nonce;      /* lets the launcher's own futex call past the command's filter */
	uint64_t command_flags; /* of the command's clone, beside those that it always has */
	uint64_t cgroup;     /* path of the command's cgroup, or 0 */
	int32_t host_pid;
	int32_t host_thread; /* lives as long as the host's program */
	int32_t contained;   /* the reaper's signals reach the tree and nothing else (Landlock signal scope) */

	/* From the host at any time. */
	uint32_t unmapped;   /* a futex word: 0 once the command's user namespace has its maps */
	uint32_t held;       /* a futex word: 0 lets the command go on to its execute step */
	uint32_t order;      /* a futex word: 1 until the reaper has carried out what follows */
	int32_t order_target; /* as kill(2) takes it, -1 being the whole tree */
	int32_t order_signal;

	/* Between reaper and command. */
	uint32_t listening;  /* the command has a listener, or is about to, whose number it has not told */
	uint32_t ending;     /* the reaper is about to kill */

	/* To the host. */
	uint32_t state;
	int32_t isolated;    /* the command has a descriptor table of its own */
	int32_t reaper_pid;
	int32_t reaper_pidfd;
	int32_t command_pid;
	int32_t command_pidfd;
	int32_t listener;
	int32_t failed;      /* SANDLOCK_NOBODY, ... */
	int32_t failed_step;
	int32_t failed_errno;
	int32_t exit_code;   /* si_code and si_status of the command, see waitid(2) */
	int32_t exit_status;
};

/* Starts reaper and command, and waits until the start needs the host, or is over, or the reaper is gone; the reaper's
   number, or a negative errno when not even it could be made. */
int sandlock_start(struct sandlock_launch *launch);

/* The state that the launch has reached: see the enum. */
uint32_t sandlock_state(struct sandlock_launch *launch);

/* Lets a command go on whose user namespace has its maps, and waits as sandlock_start does. */
void sandlock_mapped(struct sandlock_launch *launch);

/* Lets a held command go on. */
void sandlock_release(struct sandlock_launch *launch);

/* Has the reaper send a signal, and waits until it has; with a negative errno when there is no reaper any more. */
int sandlock_order(struct sandlock_launch *launch, int target, int signal);

#endif
