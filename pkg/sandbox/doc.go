// Package sandbox runs a command under a policy: it puts the other packages together and is complete by itself.
//
//	s := sandbox.Sandbox{Policy: policy.Policy{FSReadable: []string{"/usr", "/lib", "/lib64"}}}
//	result, err := s.Run(ctx, sandbox.Command{Args: []string{"uname", "-a"}, Environ: os.Environ()})
//
// What the kernel can enforce alone is never trapped: a system call reaches a handler only because the handler was
// registered for it.
package sandbox
