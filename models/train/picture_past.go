package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/v2v/v2v/models/weights"
)

// Past is what a run folder tells of its run.
type Past struct {
	Dir         string
	Config      []byte            // config.toml
	Env         map[string]string // of the last start
	Checkpoints []PastCheckpoint  // the oldest first
	Curve       []PastStep
}

// PastCheckpoint is a checkpoint that is still there.
type PastCheckpoint struct {
	Step int
	Path string
}

// PastStep is one line of metrics.
type PastStep struct {
	Step   int                `json:"step"`
	Spent  float64            `json:"spent"` // seconds of training
	Losses map[string]float64 `json:"losses"`
}

// ReadPast reads a run folder, which may be in use.
func ReadPast(dir string) (*Past, error) {
	p := &Past{Dir: dir}
	var err error
	if p.Config, err = os.ReadFile(filepath.Join(dir, configFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no run folder: it has no %s", dir, configFile)
	} else if err != nil {
		return nil, fmt.Errorf("read run %s: %w", dir, err)
	}
	c := checkpointsOf(dir)
	sound, _, err := c.list()
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", dir, err)
	}
	for _, f := range sound {
		p.Checkpoints = append(p.Checkpoints, PastCheckpoint{f.Step, f.path})
	}
	if len(sound) == 0 {
		return nil, fmt.Errorf("run %s has no checkpoint yet", dir)
	}
	lines, err := os.ReadFile(filepath.Join(dir, metricsFile))
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", dir, err)
	}
	for line := range bytes.Lines(lines) {
		var s PastStep
		if json.Unmarshal(line, &s) != nil {
			break // the line that is being written
		}
		p.Curve = append(p.Curve, s)
	}
	var starts []start
	if text, err := os.ReadFile(filepath.Join(dir, envFile)); err == nil && json.Unmarshal(text, &starts) == nil && len(starts) > 0 {
		p.Env = starts[len(starts)-1].Env
	}
	return p, nil
}

// checkpointsOf are those of a run folder, to be read.
func checkpointsOf(dir string) checkpoints {
	return checkpoints{dir: filepath.Join(dir, ckptDir), log: slog.New(slog.DiscardHandler)}
}

// Weights opens a checkpoint to read the weights of a model: their means where
// the run keeps some.
func (c PastCheckpoint) Weights() (*PastWeights, error) {
	f, err := weights.Open(c.Path)
	if err != nil {
		return nil, err
	}
	return &PastWeights{f}, nil
}

// PastWeights are the weights in a checkpoint.
type PastWeights struct{ file *weights.File }

// Shape is the shape of a weight, nil where there is none of that name.
func (w *PastWeights) Shape(name string) []int {
	info, _ := w.file.Info(w.kept(name))
	return info.Shape
}

// Weight fills dst.
func (w *PastWeights) Weight(name string, dst []float32) error {
	return w.file.Float32(w.kept(name), dst)
}

func (w *PastWeights) kept(name string) string {
	if _, ok := w.file.Info(emaPrefix + name); ok {
		return emaPrefix + name
	}
	return name
}

// Close closes the file.
func (w *PastWeights) Close() error { return w.file.Close() }
