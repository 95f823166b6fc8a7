package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
)

// The exit codes beyond those of package jobs. Scripts rely on them.
const (
	exitResources = 5 // disk, memory or device: trying again may help
	exitModel     = 6 // the model file is missing, wrong or corrupt
	exitDiverged  = 7 // training diverged
	exitInterrupt = jobs.ExitInterrupted
	exitTerm      = 143
)

// coded is an error whose exit code is known where it arises. Silent ones have
// been told in full already, by a table or an event.
type coded struct {
	code   int
	err    error
	silent bool
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// withCode gives err an exit code, unless it is nil, carries a code, or says
// that the disk or the memory is full or the user has had enough.
func withCode(code int, err error) error {
	var c *coded
	if err == nil || errors.As(err, &c) || outOf(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return &coded{code: code, err: err}
}

// usage is a request that cannot be understood or met; its text says what to
// change.
func usage(format string, args ...any) error {
	return &coded{code: jobs.ExitUsage, err: fmt.Errorf(format, args...)}
}

// told is the exit code of a command that has said all there is to say.
func told(code int) error {
	if code == jobs.ExitDone {
		return nil
	}
	return &coded{code: code, err: fmt.Errorf("exit code %d", code), silent: true}
}

// outOf reports whether err is for want of disk or memory.
func outOf(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// exitCode is the one map from errors to the codes of users' scripts.
func exitCode(err error) int {
	var c *coded
	switch {
	case err == nil:
		return jobs.ExitDone
	case errors.As(err, &c):
		return c.code
	case outOf(err):
		return exitResources
	case errors.Is(err, video.ErrDamaged):
		return jobs.ExitSome
	}
	return jobs.ExitCode(jobs.Summary{}, err)
}
