// Package kernel finds out, once, what the running kernel offers a sandbox, and says what the lack of each thing means.
//
// It asks by use wherever that leaves nothing behind: a version number says nothing about what a distribution has taken
// out, or what a container forbids.
package kernel
