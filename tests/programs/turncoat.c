/* Attacks decisions about addresses: turncoat connect|bind|sendto|sendmsg|sendmmsg|header|socket TRIES PORT.
 *
 * 127.0.0.1 may be reached, 127.0.0.2 may not; for bind PORT may be bound, the one above may not. The first thread
 * connects or sends to an address, again and again, which the second one turns to and fro between the two: the address
 * itself, the pointer to it (header), or the socket, of UDP or TCP, behind the descriptor (socket). After TRIES it goes
 * on until both have happened, a hundred times as often at most. Prints how often the call succeeded, and how often it
 * failed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in peer, other;
static struct iovec data = {"x", 1};
static struct mmsghdr message;
static int packets, stream, either, first_port;
static const char *how;
static volatile int over;

static void *turn(void *unused)
{
	(void)unused;
	for (unsigned host = 0; !over; host++) {
		if (strcmp(how, "header") == 0)
			*(void *volatile *)&message.msg_hdr.msg_name = host % 2 ? &other : &peer;
		else if (strcmp(how, "socket") == 0)
			dup2(host % 2 ? packets : stream, either);
		else if (strcmp(how, "bind") == 0)
			*(volatile in_port_t *)&peer.sin_port = htons(first_port + host % 2);
		else
			*(volatile in_addr_t *)&peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host % 2);
		for (volatile int pause = 0; pause < 50; pause++)
			;
	}
	return NULL;
}

static int try(void)
{
	if (strcmp(how, "sendto") == 0)
		return sendto(packets, "x", 1, 0, (void *)&peer, sizeof peer) == 1;
	if (strcmp(how, "socket") == 0)
		return sendto(either, "x", 1, MSG_NOSIGNAL, (void *)&peer, sizeof peer) == 1;
	if (strcmp(how, "sendmsg") == 0 || strcmp(how, "header") == 0)
		return sendmsg(packets, &message.msg_hdr, 0) == 1;
	if (strcmp(how, "sendmmsg") == 0)
		return sendmmsg(packets, &message, 1, 0) == 1;
	int fresh = socket(AF_INET, SOCK_STREAM, 0);
	struct linger reset = {1, 0};
	setsockopt(fresh, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	if (strcmp(how, "bind") == 0) {
		struct sockaddr_in bound;
		socklen_t size = sizeof bound;
		setsockopt(fresh, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
		int done = bind(fresh, (void *)&peer, sizeof peer) == 0;
		if (getsockname(fresh, (void *)&bound, &size) != 0 || (done && bound.sin_port != htons(first_port)))
			exit(9);
		close(fresh);
		return done;
	}
	int connected = connect(fresh, (void *)&peer, sizeof peer) == 0;
	close(fresh);
	return connected;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	peer.sin_family = AF_INET;
	first_port = atoi(argv[3]);
	peer.sin_port = htons(first_port);
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	other = peer;
	other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	how = argv[1];
	message.msg_hdr = (struct msghdr){.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &data, .msg_iovlen = 1};
	packets = socket(AF_INET, SOCK_DGRAM, 0);
	stream = socket(AF_INET, SOCK_STREAM, 0);
	either = dup(packets);
	int done[2] = {0};
	pthread_t thread;
	if (pthread_create(&thread, NULL, turn, NULL) != 0)
		return 2;
	int tries = atoi(argv[2]), most = strcmp(how, "socket") == 0 ? tries : 100 * tries;
	for (int i = 0; i < tries || (i < most && (!done[0] || !done[1])); i++)
		done[try()]++;
	over = 1;
	pthread_join(thread, NULL);
	printf("%d %d\n", done[1], done[0]);
	return 0;
}
