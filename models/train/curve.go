package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Curve is what the metrics of a run hold, and what its log says of them. The
// run may be going on.
type Curve struct {
	Keys  []string // of losses, in the order they first came
	Steps []CurveStep
	Marks []Mark // by step
}

// CurveStep is one line of metrics.
type CurveStep struct {
	Step   int                `json:"step"`
	LR     float64            `json:"lr"`
	Losses map[string]float64 `json:"losses"`
}

// Mark is a moment worth seeing in a curve.
type Mark struct {
	Step    int
	Text    string
	Warning bool // else a stage of training began
}

// ErrNoMetrics is wrapped where a folder holds no steps to be read.
var ErrNoMetrics = errors.New("no metrics")

// ReadCurve reads metrics.jsonl and run.log of a run folder.
func ReadCurve(dir string) (*Curve, error) {
	path := filepath.Join(dir, metricsFile)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w in %s: it has no %s; give the folder that train --out named", ErrNoMetrics, dir, metricsFile)
	case err != nil:
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	c := &Curve{}
	if err := c.parse(text); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(c.Steps) == 0 {
		return nil, fmt.Errorf("%w in %s yet: no step is done", ErrNoMetrics, path)
	}
	log, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read log: %w", err)
	}
	c.mark(string(log))
	return c, nil
}

// parse reads lines of metrics; the last one may be being written.
func (c *Curve) parse(text []byte) error {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		var s CurveStep
		if err := json.Unmarshal(line, &s); err != nil {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break
			}
			return fmt.Errorf("line %d: %w", n, err)
		}
		before := len(c.Keys)
		for key := range s.Losses {
			if !slices.Contains(c.Keys, key) {
				c.Keys = append(c.Keys, key)
			}
		}
		order := func(key string) int { return bytes.Index(line, strconv.AppendQuote(nil, key)) }
		slices.SortFunc(c.Keys[before:], func(a, b string) int { return order(a) - order(b) })
		c.Steps = append(c.Steps, s)
	}
	return nil
}

// mark takes warnings, errors and stages out of a run's log, as far as they
// name a step that the metrics hold.
func (c *Curve) mark(log string) {
	last := c.Steps[len(c.Steps)-1].Step
	frames := "" // of a sample; samples grow
	for line := range strings.Lines(log) {
		f := logFields(line)
		step, err := strconv.Atoi(f["step"])
		warning := f["level"] == "WARN" || f["level"] == "ERROR"
		stage := strings.HasPrefix(f["msg"], "stage")
		if f["msg"] == "epoch" && f["frames"] != frames {
			stage, frames = frames != "", f["frames"]
			f["msg"] = "samples of " + frames + " frames"
		}
		if err != nil || step > last || !warning && !stage {
			continue
		}
		m := Mark{step, f["msg"], warning}
		for _, key := range []string{"stage", "err"} {
			if f[key] != "" {
				m.Text += " " + f[key]
			}
		}
		if !slices.Contains(c.Marks, m) {
			c.Marks = append(c.Marks, m)
		}
	}
	slices.SortStableFunc(c.Marks, func(a, b Mark) int { return a.Step - b.Step })
}

// logFields reads a line of slog's text: key=value, with quotes where needed.
func logFields(line string) map[string]string {
	fields := map[string]string{}
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			break
		}
		value, err := strconv.QuotedPrefix(rest)
		if err != nil {
			value, _, _ = strings.Cut(rest, " ")
		}
		line = rest[len(value):]
		if plain, err := strconv.Unquote(value); err == nil {
			value = plain
		}
		fields[key] = value
	}
	return fields
}
