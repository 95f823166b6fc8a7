package models

import (
	"time"

	"github.com/v2v/v2v/models/engine"
)

// LastFrame is the frame that a Runner made last, as the next one sees it.
func LastFrame(r *Runner) engine.Buffer { return r.own.prev[0].at(r.t - 1) }

// SetPatience sets how long a step of a started Runner waits for others.
func SetPatience(r *Runner, d time.Duration) { r.g.patience = d }
