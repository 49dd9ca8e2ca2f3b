// Package deputy performs path calls on behalf of a task whose call was trapped.
//
// A path that was read from the task's memory and judged may be another one when the kernel reads it again. So the call
// is performed here, with the bytes that were judged, on an OS thread that is confined by the sandbox's own Landlock
// ruleset and has the task's file system credentials: it reaches nothing that the task could not. Landlock restricts a
// thread, not a process, and a confined thread can only end: each lives as long as the run.
//
// What a path means differs between the host and the task in some places: /proc/self, and whatever the kernel looks up
// in the calling process. Names of the host's own process in /proc are replaced by the task's, and paths that lead
// through the magic links of /proc (fd, cwd, exe, root) are refused with ELOOP.
package deputy
