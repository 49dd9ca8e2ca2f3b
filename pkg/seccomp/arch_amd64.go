package seccomp

// Native returns the architecture that this program runs on.
func Native() Arch { return AMD64 }
