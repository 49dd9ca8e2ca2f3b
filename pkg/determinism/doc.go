// Package determinism makes random numbers, the time and the order of directories the same in each run.
//
// What the kernel cannot do alone is answered by handlers in Go, each only where its field of the policy asks for it.
// What programs take from the kernel without a system call, the vDSO and the random bytes of the auxiliary vector, is
// changed in each image that is executed, at its first system call: see [Run.Handlers].
//
// None of it is a boundary: a program that wants to see through it can. docs/determinism.md says how.
package determinism
