package models

import "github.com/v2v/v2v/models/engine"

// LastFrame is the frame that a Runner made last, as the next one sees it.
func LastFrame(r *Runner) engine.Buffer { return r.prev[0].at(r.t - 1) }
