// Package supervise decides who answers a notification: handlers in Go first, then whoever pulls.
//
// Handlers in Go run on the thread that received the notification. A notification that nobody in Go has answered is
// handed to the worker whose thread received it: the thread of another language's runtime calls [Supervisor.Next],
// which blocks until there is such a notification, decides, and answers by calling Next again. So a decision never
// crosses threads, and the kernel's synchronous wake-up reaches the thread that decides.
package supervise
