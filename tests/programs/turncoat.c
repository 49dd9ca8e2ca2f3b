/* Attacks decisions about addresses: turncoat connect|sendto|sendmsg|sendmmsg TRIES PORT.
 *
 * 127.0.0.1 may be reached, 127.0.0.2 may not. The first thread connects or sends to an address, again and again, which
 * the second one turns to and fro between the two. Prints how often the call succeeded, and how often it failed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in peer;
static volatile int over;

static void *turn(void *unused)
{
	(void)unused;
	volatile in_addr_t *address = &peer.sin_addr.s_addr;
	for (unsigned host = 0; !over; host++) {
		*address = htonl(INADDR_LOOPBACK + host % 2);
		for (volatile int pause = 0; pause < 50; pause++)
			;
	}
	return NULL;
}

static int try(const char *how, int packets)
{
	struct iovec data = {"x", 1};
	struct mmsghdr message = {.msg_hdr = {.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &data, .msg_iovlen = 1}};
	if (strcmp(how, "sendto") == 0)
		return sendto(packets, "x", 1, 0, (void *)&peer, sizeof peer) == 1;
	if (strcmp(how, "sendmsg") == 0)
		return sendmsg(packets, &message.msg_hdr, 0) == 1;
	if (strcmp(how, "sendmmsg") == 0)
		return sendmmsg(packets, &message, 1, 0) == 1;
	int stream = socket(AF_INET, SOCK_STREAM, 0);
	struct linger reset = {1, 0};
	setsockopt(stream, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	int connected = connect(stream, (void *)&peer, sizeof peer) == 0;
	close(stream);
	return connected;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	peer.sin_family = AF_INET;
	peer.sin_port = htons(atoi(argv[3]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int packets = socket(AF_INET, SOCK_DGRAM, 0);
	int done[2] = {0};
	pthread_t thread;
	if (pthread_create(&thread, NULL, turn, NULL) != 0)
		return 2;
	for (int i = atoi(argv[2]); i > 0; i--)
		done[try(argv[1], packets)]++;
	over = 1;
	pthread_join(thread, NULL);
	printf("%d %d\n", done[1], done[0]);
	return 0;
}
