// Command builtin is a library that runs a command with a handler in Go, on the thread that calls it: what a Python
// thread does that waits for the calls of Python handlers, and meets one that is answered in Go.
package main

import "C"

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/supervise"
)

func main() {}

// answerGetppid runs a command, given as lines, that makes getppid calls and prints a number, which is the result. A
// handler in Go answers them with Continue; another call is registered as Python's. -1: it failed, see stderr.
//
//export answerGetppid
func answerGetppid(readable, command *C.char) C.double {
	number, err := run(strings.Split(C.GoString(readable), "\n"), strings.Split(C.GoString(command), "\n"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "builtin:", err)
		return -1
	}
	return C.double(number)
}

func run(readable, args []string) (float64, error) {
	s := sandbox.Sandbox{
		Policy: policy.Policy{FSReadable: readable},
		Handlers: []sandbox.Registration{
			{Syscall: "getppid", Handler: supervise.HandlerFunc(proceed)},
			{Syscall: "getpgid"},
		},
	}
	p, result, err := s.Start(sandbox.Command{Args: args, Environ: os.Environ(), Stdout: sandbox.Pipe()})
	if err != nil {
		return 0, err
	}
	if p == nil {
		return 0, result.Err
	}
	type outcome struct {
		result *sandbox.Result
		err    error
	}
	ended := make(chan outcome)
	go func() {
		result, err := p.Wait()
		ended <- outcome{result, err}
	}()
	p.Supervisor().Next(p.Supervisor().NewWorker())
	o := <-ended
	if o.err != nil {
		return 0, o.err
	}
	return strconv.ParseFloat(string(bytes.TrimSpace(o.result.Stdout)), 64)
}

func proceed(*notify.Notification) supervise.Action { return supervise.Continue() }
