// Package seccomp holds the syscall tables and groups, and turns a Spec into
// one BPF program for seccomp(2).
//
// # What the program answers
//
// Deny beats notify, notify beats allow:
//
//   - a call of another architecture than the Spec's (int 0x80, AArch32) kills
//     the process: its numbers mean other things;
//   - an x32 call (bit 30 of the number, amd64 only) kills the process: a
//     program that got past the architecture check makes one on purpose;
//   - every other number that the tables do not know answers ENOSYS, negative
//     and future numbers included: what we have not judged does not exist, as on
//     an older kernel. The numbers 512 to 547, which old amd64 kernels take for
//     x32 calls without bit 30, are among them;
//   - the default deny list, less the groups of Spec.ExtraAllow, and
//     Spec.ExtraDeny answer EPERM, the group aio ENOSYS;
//   - clone3 always answers ENOSYS, and libc falls back to clone: the filter
//     cannot read flags that are behind a pointer;
//   - some calls are denied for some of their arguments (clone, fcntl,
//     ioctl, prlimit64, sched_setaffinity and its like, socket, socketpair), see
//     check.go and network.go;
//   - Spec.Notify goes to the supervisor, and with Spec.ChildSignal so does who
//     sets what SIGCHLD does; what is left goes to the kernel.
//
// Calls that sandboxed programs may make although they look dangerous:
// seccomp(2) and landlock_restrict_self(2) only tighten. A filter of the child
// with a listener of its own gets EBUSY from the kernel while the supervisor
// holds a listener, and is a matter of the child alone when it holds none.
//
// # Shape and speed
//
// After the architecture check a balanced binary tree over ranges of numbers
// with the same verdict finds the answer: the number of decisions is logarithmic
// in the number of ranges. The way to a plain allow consists of loads of nr and
// arch, jumps on constants and the return of a constant. These are what the
// kernel's seccomp_is_const_allow understands, so since Linux 5.11 it finds
// these calls in its bitmap and does not run the program at all.
package seccomp
