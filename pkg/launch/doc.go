// Package launch starts a command behind a flat plan of system calls.
//
// The host prepares everything; two small C functions, which share the host's memory until execve, only walk
// through lists of system calls. The first one becomes the reaper: it stands between the host and the command,
// watches the host's life, adopts every orphan of the tree, and leaves nothing of it behind. The second one becomes
// the command. docs/decisions/002-end-of-the-tree.md says why a reaper and not a namespace.
package launch
