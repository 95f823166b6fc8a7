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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	defer signal.Stop(term)
	context.AfterFunc(ctx, func() { stop(); signal.Stop(term) })

	a := newApp(stdout, stderr)
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if code != 0 && ctx.Err() != nil {
		code = exitInterrupt
		if len(term) > 0 {
			code = exitTerm
		}
	}
	a.complain(err, code)
	return code
}
