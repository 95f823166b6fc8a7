package train

import "time"

// Event is what a run tells while it goes on: one of Started, Stepped,
// SheetWritten, CheckpointWritten and Finished. They come one after another
// from the goroutine of Run, which waits for the receiver.
type Event interface{ Kind() string }

// Started is the first event of a run.
type Started struct {
	Dir        string `json:"dir"`
	Step       int    `json:"step"` // steps done by the run it resumes, or 0
	Steps      int    `json:"steps"`
	Clips      int    `json:"clips"`
	Frames     int    `json:"frames"`
	Spooled    bool   `json:"spooled"`    // the frames did not fit into memory
	Parameters int    `json:"parameters"` // numbers in the model
}

// Stepped comes after every step.
type Stepped struct {
	Step     int           `json:"step"` // steps done
	Steps    int           `json:"steps"`
	Losses   Losses        `json:"losses"` // of this step
	Smooth   Losses        `json:"smooth"` // running means
	LR       float64       `json:"lr"`
	Rate     float64       `json:"rate"`    // steps a second, 0 while unknown
	Left     time.Duration `json:"left_ns"` // until the end at that rate
	DataWait float64       `json:"wait"`    // share of the time spent waiting for samples
}

// SheetWritten says where a new sample sheet is.
type SheetWritten struct {
	Step int    `json:"step"`
	Path string `json:"path"`
}

// VideoWritten says where a new sample video is.
type VideoWritten struct {
	Step int    `json:"step"`
	Path string `json:"path"`
}

// CheckpointWritten says where a new checkpoint is. Score is nil where the run
// has no Validate.
type CheckpointWritten struct {
	Step  int      `json:"step"`
	Path  string   `json:"path"`
	Score *float64 `json:"score,omitempty"`
	Best  bool     `json:"best,omitempty"` // no checkpoint has a better score
}

// Finished is the last event of a run that reached its last step.
type Finished struct{ Summary }

// Kind names an event in machine-readable output.
func (Started) Kind() string           { return "started" }
func (Stepped) Kind() string           { return "step" }
func (SheetWritten) Kind() string      { return "sheet" }
func (VideoWritten) Kind() string      { return "video" }
func (CheckpointWritten) Kind() string { return "checkpoint" }
func (Finished) Kind() string          { return "finished" }

// Summary is what became of a run.
type Summary struct {
	Step       int           `json:"step"`    // steps done, earlier runs in the folder included
	Samples    uint64        `json:"samples"` // samples drawn for them
	Losses     Losses        `json:"losses"`  // running means
	Checkpoint string        `json:"checkpoint"`
	Best       string        `json:"best,omitempty"` // checkpoint of the best score
	Model      string        `json:"model,omitempty"`
	Trained    time.Duration `json:"trained_ns"` // earlier runs included
}
