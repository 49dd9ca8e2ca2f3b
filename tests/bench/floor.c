/*
 * Runs a command under the smallest supervisor that there can be: one of the command's calls is a seccomp notification,
 * which is received and answered at once. What it costs here is what the kernel takes; see seccomp_unotify(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6; the headers may be older than the kernel */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

static void fail(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
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

/* Nothing but one call is trapped. The architecture is not checked: this filter protects nobody. */
static int install_filter(int number)
{
	struct sock_filter program[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
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

static void run(char **command, int number, int socket)
{
	send_descriptor(socket, install_filter(number)); /* both are closed on exec */
	execv(command[0], command);
	fail(command[0]);
}

static void answer(int listener, const struct seccomp_notif *call)
{
	struct seccomp_notif_resp response = {.id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) && errno != ENOENT)
		fail("answer a notification");
}

/* Reads the path of an openat no further than to the first page that cannot be read, and looks whose it was. */
static void answer_with_path(int listener, const struct seccomp_notif *call)
{
	char path[4096];
	size_t page = 4096 - call->data.args[1] % 4096;
	char *address = (char *)call->data.args[1];
	struct iovec local = {.iov_base = path, .iov_len = sizeof path};
	struct iovec remote[] = {{.iov_base = address, .iov_len = page},
				 {.iov_base = address + page, .iov_len = sizeof path - page}};
	ssize_t length = process_vm_readv((pid_t)call->pid, &local, 1, remote, 2, 0);
	if (length <= 0 || memchr(path, 0, length) == NULL)
		fail("read a path");
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) == 0)
		answer(listener, call);
}

/* Gives a sealed file in memory. */
static void answer_with_bytes(int listener, const struct seccomp_notif *call)
{
	static char bytes[4096];
	int file = memfd_create("floor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file < 0 || write(file, bytes, sizeof bytes) != sizeof bytes || lseek(file, 0, SEEK_SET) ||
	    fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		fail("make a file");
	struct seccomp_notif_addfd send = {
	    .id = call->id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (__u32)file, .newfd_flags = O_CLOEXEC};
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &send) < 0)
		fail("send a file");
	close(file);
}

struct variant {
	const char *name;
	int call;
	void (*answer)(int listener, const struct seccomp_notif *call);
	int polls; /* before each receive, as whoever must be woken for other reasons has to */
	int slow;  /* without the synchronous wake-up of Linux 6.6 */
	int gathers; /* calls of all the command's threads before it answers, once the first thread has made its own */
};

static const struct variant variants[] = {
    {.name = "getppid", .call = SYS_getppid, .answer = answer},
    {.name = "getppid-poll", .call = SYS_getppid, .answer = answer, .polls = 1},
    {.name = "getppid-slow", .call = SYS_getppid, .answer = answer, .slow = 1},
    {.name = "getppid-gather", .call = SYS_getppid, .answer = answer, .gathers = 1},
    {.name = "path", .call = SYS_openat, .answer = answer_with_path},
    {.name = "bytes", .call = SYS_openat, .answer = answer_with_bytes},
};

static const struct variant *find_variant(const char *name)
{
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
		if (strcmp(variants[i].name, name) == 0)
			return &variants[i];
	return NULL;
}

/* Keeps so many calls waiting, and then answers them all. */
static void gather(const struct seccomp_notif *call, int listener, long in_flight)
{
	static struct seccomp_notif *waiting;
	static long count;
	if (waiting == NULL)
		waiting = calloc(in_flight, sizeof *waiting);
	waiting[count++] = *call;
	if (count < in_flight)
		return;
	while (count > 0)
		answer(listener, &waiting[--count]);
}

/* alone are the calls before those of all threads. */
static void supervise(const struct variant *v, int listener, long alone, long in_flight)
{
	if (!v->slow && ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP))
		fail("ask for the synchronous wake-up");
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	for (;;) {
		if (v->polls && poll(&ready, 1, -1) < 0 && errno != EINTR)
			fail("wait for a notification");
		struct seccomp_notif call = {0}; /* the kernel takes nothing but zeros */
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			fail("receive a notification");
		}
		if (v->gathers && alone-- <= 0)
			gather(&call, listener, in_flight);
		else
			v->answer(listener, &call);
	}
}

/* The end of the command is the end of the supervisor: supervise never returns. */
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
	const struct variant *v = argc > 2 ? find_variant(argv[1]) : NULL;
	if (v == NULL) {
		fprintf(stderr, "usage: %s VARIANT FILE [ARGUMENT...]\n", argv[0]);
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
		run(argv + 2, v->call, ends[1]);
	close(ends[1]);
	/* Of caller.c's arguments, the last ones are calls and threads. */
	supervise(v, receive_descriptor(ends[0]), atol(argv[argc - 2]), atol(argv[argc - 1]));
}
