package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
)

// record is one line of metrics.jsonl.
type record struct {
	Step   int     `json:"step"`   // steps done
	Sample uint64  `json:"sample"` // number of the batch's first sample
	LR     float64 `json:"lr"`
	Losses Losses  `json:"losses"`
	Spent  float64 `json:"spent"` // seconds of training
}

// Losses are terms; in JSON an object whose keys keep their order.
type Losses []Loss

// MarshalJSON refuses what is no number, as JSON does.
func (ls Losses) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, l := range ls {
		name, err := json.Marshal(l.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(l.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// metrics is the file of a run's losses, a JSON object a line.
type metrics struct{ file *os.File }

// openMetrics opens the file to go on after the given step. What an earlier
// run wrote beyond it is dropped: those steps will be taken again.
func openMetrics(path string, step int) (*metrics, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	if kept := trimMetrics(data, step); len(kept) < len(data) {
		if err := renameio.WriteFile(path, kept, 0o644); err != nil {
			return nil, fmt.Errorf("drop metrics beyond step %d: %w", step, err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	return &metrics{file}, nil
}

// trimMetrics is the longest beginning of data that consists of whole lines of
// ascending steps up to the given one.
func trimMetrics(data []byte, step int) []byte {
	end, before := 0, 0
	for end < len(data) {
		n := bytes.IndexByte(data[end:], '\n')
		if n < 0 {
			break
		}
		var r struct{ Step int }
		if json.Unmarshal(data[end:end+n], &r) != nil || r.Step <= before || r.Step > step {
			break
		}
		before = r.Step
		end += n + 1
	}
	return data[:end]
}

// add writes a line at once, so that a killed process has lost none.
func (m *metrics) add(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	if _, err := m.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// sync makes the lines so far survive a power cut: a checkpoint stands on them.
func (m *metrics) sync() error {
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

func (m *metrics) close() error { return m.file.Close() }
