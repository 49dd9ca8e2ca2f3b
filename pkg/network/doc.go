// Package network turns the rules of a policy about the network into decisions: which peers may be reached, and who
// enforces it, the kernel alone or the supervisor. It makes no system call.
//
// The kernel alone can tell TCP ports (Landlock) and kinds of sockets (seccomp). All else is behind a pointer, or in the
// socket, and is for a supervisor to judge.
package network
