/*
 * Runs a command under the smallest supervisor that there can be: each getppid of the command is a seccomp notification,
 * answered with Continue. What a notification costs here is what the kernel takes for it; see seccomp_unotify(2).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6; the headers may be older than the kernel */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

static void fail(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* A message of one byte that carries one descriptor. */
struct parcel {
	char byte;
	struct iovec data;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message;
};

static void prepare(struct parcel *p)
{
	memset(p, 0, sizeof *p);
	p->data = (struct iovec){.iov_base = &p->byte, .iov_len = 1};
	p->message = (struct msghdr){.msg_iov = &p->data,
				     .msg_iovlen = 1,
				     .msg_control = &p->control,
				     .msg_controllen = sizeof p->control};
}

static void send_descriptor(int socket, int fd)
{
	struct parcel p;
	prepare(&p);
	p.control.header =
	    (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&p.control.header), &fd, sizeof fd);
	if (sendmsg(socket, &p.message, 0) != 1)
		fail("send the listener");
}

static int receive_descriptor(int socket)
{
	struct parcel p;
	prepare(&p);
	if (recvmsg(socket, &p.message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&p.message) == NULL)
		fail("receive the listener");
	int fd;
	memcpy(&fd, CMSG_DATA(&p.control.header), sizeof fd);
	return fd;
}

/* Nothing but getppid is trapped. The architecture is not checked: this filter protects nobody. */
static int install_filter(void)
{
	struct sock_filter program[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("give up new privileges");
	int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	if (listener < 0)
		fail("install the filter");
	return listener;
}

static void run(char **command, int socket)
{
	send_descriptor(socket, install_filter()); /* both are closed on exec */
	execv(command[0], command);
	fail(command[0]);
}

static void supervise(int listener)
{
	__u64 flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags))
		fail("ask for the synchronous wake-up");
	for (;;) {
		struct seccomp_notif call = {0}; /* the kernel takes nothing but zeros */
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			fail("receive a notification");
		}
		struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) && errno != ENOENT)
			fail("answer a notification");
	}
}

/* The end of the command is the end of the probe: supervise never returns. */
static void command_ended(int signal)
{
	(void)signal;
	int status;
	if (wait(&status) < 0)
		_exit(1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE [ARGUMENT...]\n", argv[0]);
		return 2;
	}
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		fail("make a socket pair");
	if (signal(SIGCHLD, command_ended) == SIG_ERR)
		fail("watch the command");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0)
		run(argv + 1, ends[1]);
	close(ends[1]);
	supervise(receive_descriptor(ends[0]));
}
