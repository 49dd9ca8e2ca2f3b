/* Races for calls that are not to wait: modes unix PATH TRIES | modes tcp PORT TRIES.
 *
 * The first thread connects a non-blocking socket to a server that takes nobody, again and again, while the second one
 * turns O_NONBLOCK off and on. After TRIES, or when ten calls have waited for a while, it prints how often it called. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static int client;

static void *turn(void *unused)
{
	(void)unused;
	for (;;) {
		fcntl(client, F_SETFL, O_NONBLOCK);
		fcntl(client, F_SETFL, 0);
	}
	return NULL;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	struct sockaddr_un place = {.sun_family = AF_UNIX};
	struct sockaddr_in host = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *server = (void *)&host;
	socklen_t size = sizeof host;
	if (strcmp(arguments[1], "unix") == 0) {
		strncpy(place.sun_path, arguments[2], sizeof place.sun_path - 1);
		server = (void *)&place;
		size = sizeof place;
	}
	host.sin_port = htons(atoi(arguments[2]));
	client = socket(server->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	pthread_t other;
	if (client < 0 || pthread_create(&other, NULL, turn, NULL) != 0)
		return 1;
	int tries = 0;
	for (int waits = 0; waits < 10 && tries < atoi(arguments[3]); tries++) {
		double before = now();
		connect(client, server, size);
		waits += now() - before > 0.01;
	}
	printf("%d\n", tries);
	return 0;
}
