package jobs

import (
	"context"
	"errors"
)

// Exit codes of a batch; users and scripts rely on them.
const (
	ExitDone        = 0 // all done, or nothing to do
	ExitError       = 1
	ExitUsage       = 2
	ExitSome        = 3 // finished, some clips failed or have damaged inputs
	ExitUnreadable  = 4 // inputs unreadable, none done
	ExitEmpty       = 9 // nothing matched, where that was to be an error
	ExitLocked      = 10
	ExitInterrupted = 130
)

// ErrEmpty is for callers that take a plan without clips as an error.
var ErrEmpty = errors.New("no clips found")

// ExitCode is the process's exit code for what MakePlan or Run returned. A
// damaged input counts whether its clip was converted now or earlier: the
// outputs are no better for it.
func ExitCode(s Summary, err error) int {
	var usage *UsageError
	switch {
	case s.Interrupted || errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, ErrLocked):
		return ExitLocked
	case errors.Is(err, ErrEmpty):
		return ExitEmpty
	case err != nil:
		return ExitError
	case s.Failed > 0 && s.Done+s.Skipped == 0 && s.unreadable():
		return ExitUnreadable
	case s.Failed+s.Damaged > 0:
		return ExitSome
	}
	return ExitDone
}

// unreadable says whether every failure was the input's.
func (s Summary) unreadable() bool {
	for _, r := range s.Rows {
		if r.Status == StatusFailed && !r.Unreadable {
			return false
		}
	}
	return true
}
