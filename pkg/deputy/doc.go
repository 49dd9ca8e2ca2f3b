// Package deputy performs calls, those with paths above all, on behalf of a task whose call was trapped.
//
// A path that was read from the task's memory and judged may be another one when the kernel reads it again. So the call
// is performed here, with the bytes that were judged, on an OS thread that is confined by the sandbox's own Landlock
// ruleset and has the task's file system credentials: it reaches nothing that the task could not. Landlock restricts a
// thread, not a process, and a confined thread can only end: each lives as long as the run.
//
// A path may also lead elsewhere by the time that it is followed, when a link or a folder on the way is replaced. So a
// call is performed in two steps: what the paths lead to is opened first, not for use, and then it is used through
// that descriptor. In between its name can be judged: see [Deputy.PerformJudged].
//
// What a path means differs between the host and the task in some places. Names of the host's own process in /proc,
// /proc/self among them, are replaced by the task's. Of the magic links of /proc, those of the task's own descriptors,
// its executable and its folders are followed at the end of a path (/dev/stdin, /proc/self/fd/3); elsewhere they are
// refused: with ELOOP, or ENOENT where the host has no such descriptor. /dev/tty is ENXIO, as for every process without a terminal. A process beside the task, of the
// same sandbox, is as foreign to the deputy as the host's are: what /proc shows of it to its neighbours alone (environ,
// exe, fd) is EACCES. And the kernel hands over no descriptor that was opened with O_PATH: folders and regular files are
// opened for reading instead, others are EOPNOTSUPP.
//
// Calls on what is open, such as read, are performed on a duplicate of the task's descriptor where somebody wants to know
// what they give, or wants them to give less: see [Deputy.Transfer].
package deputy
