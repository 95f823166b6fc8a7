//go:build cgo

package cpu

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// thread runs functions one at a time on one locked OS thread: OpenMP keeps a
// pool of workers for each thread that enters it, and a wandering goroutine
// would start a second pool beside the first.
type thread struct {
	jobs chan func()
	done chan struct{}
}

func startThread() *thread {
	t := &thread{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer close(t.done)
		for f := range t.jobs {
			f()
		}
	}()
	return t
}

// do runs f on the thread and waits. A panic of f surfaces in the caller.
func (t *thread) do(f func()) {
	var caught any
	finished := make(chan struct{})
	t.jobs <- func() {
		defer close(finished)
		defer func() {
			if r := recover(); r != nil {
				caught = fmt.Sprintf("%v\n%s", r, debug.Stack())
			}
		}()
		f()
	}
	<-finished
	if caught != nil {
		panic(caught)
	}
}

func (t *thread) stop() {
	close(t.jobs)
	<-t.done
}
