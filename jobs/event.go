package jobs

import "time"

// EventVersion is the version of the event schema. It grows when a field
// changes its meaning or goes away; new fields alone do not change it.
const EventVersion = 1

// Kind names what happened.
type Kind string

// The kinds of events, in the order a batch emits them.
const (
	KindPlan        Kind = "plan"         // Items, Batch
	KindClipSkipped Kind = "clip_skipped" // Clip, Batch
	KindClipStarted Kind = "clip_started" // Clip, Batch
	KindProgress    Kind = "progress"     // Clip, Batch
	KindClipDone    Kind = "clip_done"    // Clip with Result, Batch
	KindClipFailed  Kind = "clip_failed"  // Clip with Error, Batch
	KindBatchDone   Kind = "batch_done"   // Batch
)

// Event is one thing that happened. Encoded as JSON it is one line of the
// machine-readable output.
type Event struct {
	Version int         `json:"v"`
	Kind    Kind        `json:"event"`
	Time    time.Time   `json:"time"`
	Clip    *ClipState  `json:"clip,omitempty"`
	Batch   *BatchState `json:"batch,omitempty"` // absent where a clip runs alone
	Items   []Item      `json:"items,omitempty"`
}

// ClipState is where one clip stands.
type ClipState struct {
	Input   string  `json:"input"`
	Output  string  `json:"output,omitempty"`
	Worker  int     `json:"worker"`
	Reason  string  `json:"reason,omitempty"` // why it runs again or is skipped
	Width   int     `json:"width,omitempty"`  // of the output
	Height  int     `json:"height,omitempty"`
	Frames  int     `json:"frames"`                // written so far
	Total   int     `json:"total,omitempty"`       // 0: not known
	FPS     float64 `json:"fps,omitempty"`         // frames a second since it started
	ETA     float64 `json:"eta_seconds,omitempty"` // 0: not known
	Damaged string  `json:"damaged,omitempty"`     // what is wrong with the input
	Error   string  `json:"error,omitempty"`
	Result  *Result `json:"result,omitempty"`
}

// BatchState is where the whole batch stands. Total is exact for clips that
// have been opened and an estimate by file size for the others.
type BatchState struct {
	Clips       int     `json:"clips"`
	Done        int     `json:"done"`
	Damaged     int     `json:"damaged"`
	Skipped     int     `json:"skipped"`
	Failed      int     `json:"failed"`
	Frames      int     `json:"frames"`
	Total       int     `json:"total,omitempty"`
	FPS         float64 `json:"fps,omitempty"`
	ETA         float64 `json:"eta_seconds,omitempty"`
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted,omitempty"`
}

func newEvent(k Kind) Event { return Event{Version: EventVersion, Kind: k, Time: time.Now()} }

// ClipEvent is the clip_done or clip_failed event of a finished Clip.Run, for
// callers that run a clip outside a batch.
func ClipEvent(c *Clip, res Result, err error) Event {
	e := newEvent(KindClipDone)
	e.Clip = &ClipState{Input: c.Input, Output: c.Output, Frames: res.FramesOut, Total: res.FramesOut,
		FPS: perSecond(res.FramesOut, res.Wall), Damaged: res.Damaged}
	if err != nil {
		e.Kind, e.Clip.Error = KindClipFailed, err.Error()
		return e
	}
	e.Clip.Result = &res
	return e
}

// perSecond is n/seconds, and 0 where no time has passed: JSON has no infinity.
func perSecond(n int, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}

// remaining is the time that the frames left will take, 0 where it is unknown.
func remaining(done, total int, fps float64) float64 {
	if fps <= 0 || total <= done {
		return 0
	}
	return float64(total-done) / fps
}
