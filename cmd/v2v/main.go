package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	calmThreads()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is one call of v2v. The first SIGINT or SIGTERM cancels the context, and
// what is in work ends cleanly; a second one has its default effect and ends
// the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	interrupt, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, stopTerm := signal.NotifyContext(interrupt, syscall.SIGTERM)
	defer stopTerm()
	context.AfterFunc(ctx, func() { stop(); stopTerm() })

	a := newApp(stdout, stderr)
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	switch {
	case code == 0:
	case interrupt.Err() != nil:
		code = exitInterrupt
	case ctx.Err() != nil:
		code = exitTerm
	}
	a.complain(err, code)
	return code
}
