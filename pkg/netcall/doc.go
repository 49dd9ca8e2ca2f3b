// Package netcall performs calls about the network on behalf of a task whose call was trapped.
//
// An address is behind a pointer, and may be another one when the kernel reads it again. So it is copied once, judged,
// and the call is performed here with the copy, on a duplicate of the task's socket, inside the sandbox's Landlock
// domain. No call is ever handed back to the kernel: not even one without an address, for what descriptor and memory
// hold may change as well.
//
// Nothing here blocks. Where the kernel would have waited, the call is tried again when its socket is ready, until it
// succeeds, its time is over, or a signal comes for the task.
package netcall
