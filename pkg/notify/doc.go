// Package notify speaks the protocol of seccomp's user notifications: it receives one, reads and writes the memory of
// the task that waits for the answer, and answers. It knows no policy.
//
// The source of everything here is seccomp_unotify(2).
package notify
