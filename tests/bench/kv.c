/*
 * A small server of keys and values, and a client that asks one thing at a time and waits for the answer, each in a
 * process of its own: over the loopback device on the given port, or over a pair of Unix sockets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 1024

static void fail(const char *what)
{
	fprintf(stderr, "kv: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Answers one request, "SET key value" or "GET key", and returns the length of the answer. */
static size_t answer(char *request, char *reply, size_t room)
{
	static char values[KEYS][64];
	char value[64];
	int key;
	if (sscanf(request, "SET %d %63s", &key, value) == 2 && key >= 0 && key < KEYS) {
		memcpy(values[key], value, sizeof value);
		return snprintf(reply, room, "+OK\r\n");
	}
	if (sscanf(request, "GET %d", &key) == 1 && key >= 0 && key < KEYS)
		return snprintf(reply, room, "$%s\r\n", values[key]);
	return snprintf(reply, room, "-ERR\r\n");
}

static void serve(int client)
{
	int poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = client};
	if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, client, &event))
		fail("watch the client");
	for (;;) {
		if (epoll_wait(poll, &event, 1, -1) < 0)
			fail("wait for the client");
		char request[256], reply[256];
		ssize_t length = read(client, request, sizeof request - 1);
		if (length < 0)
			fail("read a request");
		if (length == 0)
			return;
		request[length] = 0;
		size_t answered = answer(request, reply, sizeof reply);
		if (write(client, reply, answered) != (ssize_t)answered)
			fail("write a reply");
	}
}

static void ask(int server, const char *request, const char *expected)
{
	char reply[256];
	if (write(server, request, strlen(request)) != (ssize_t)strlen(request))
		fail("write a request");
	ssize_t length = read(server, reply, sizeof reply);
	if (length != (ssize_t)strlen(expected) || memcmp(reply, expected, length) != 0)
		fail("read a reply");
}

static void use(int server, long requests)
{
	char request[64], expected[64];
	for (long i = 0; i < requests / 2; i++) {
		snprintf(request, sizeof request, "SET %ld value-%ld\r\n", i % KEYS, i);
		ask(server, request, "+OK\r\n");
		snprintf(request, sizeof request, "GET %ld\r\n", i % KEYS);
		snprintf(expected, sizeof expected, "$value-%ld\r\n", i);
		ask(server, request, expected);
	}
}

static void connect_pair(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		fail("make a socket pair");
}

static void connect_tcp(int ends[2], int port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	socklen_t size = sizeof address;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1))
		fail("listen");
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ends[0] < 0 || connect(ends[0], (struct sockaddr *)&address, size))
		fail("connect");
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (ends[1] < 0)
		fail("accept");
	for (int i = 0; i < 2; i++)
		if (setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
			fail("set TCP_NODELAY");
}

int main(int argc, char **argv)
{
	long requests = argc == 3 ? atol(argv[2]) : 0;
	int ends[2], status;
	if (requests <= 0) {
		fprintf(stderr, "usage: %s PORT|pair REQUESTS\n", argv[0]);
		return 2;
	}
	if (strcmp(argv[1], "pair") == 0)
		connect_pair(ends);
	else
		connect_tcp(ends, atoi(argv[1]));
	pid_t server = fork();
	if (server < 0)
		fail("fork");
	if (server == 0) {
		close(ends[0]);
		serve(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	use(ends[0], requests);
	close(ends[0]);
	if (waitpid(server, &status, 0) < 0 || status)
		fail("wait for the server");
	return 0;
}
