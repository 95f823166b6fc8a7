package train

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/models/weights"
)

func newCheckpoints(t *testing.T) (*checkpoints, *bytes.Buffer) {
	var log bytes.Buffer
	return &checkpoints{dir: t.TempDir(), keep: 3, log: slog.New(slog.NewTextHandler(&log, nil))}, &log
}

func TestCheckpointHoldsEverything(t *testing.T) {
	c, _ := newCheckpoints(t)
	states := newFakeTrainer().State()
	for i, s := range states {
		s.Buffer.Write([]float32{float32(i), 1, -2, 3e-40, math.MaxFloat32, 0.1})
	}
	score := 21.5
	want := progress{Format: 1, Config: "hash", Plan: plan{Seed: math.MaxUint64, Steps: 9, LR: 2e-4}, Step: 1234567, Sample: math.MaxUint64,
		Means: lossMeans{{"G", 0.1, 3}, {"D", 1e-300, 7}}, Score: &score, Spent: 1.5}
	path, err := c.save(want, states)
	if err != nil || filepath.Base(path) != "step-1234567.safetensors" {
		t.Fatal(path, err)
	}
	last, err := c.last()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, last.progress); diff != "" {
		t.Error(diff)
	}
	other := newFakeTrainer()
	if err := restore(path, other.State()); err != nil {
		t.Fatal(err)
	}
	for i, s := range other.State() {
		if !cmp.Equal(s.Buffer.(*hostBuffer).data, states[i].Buffer.(*hostBuffer).data) {
			t.Errorf("%s came back as %v", s.Name, s.Buffer.(*hostBuffer).data)
		}
	}
}

// TestTornCheckpoints cuts the newest file at every length: the one before it
// is the last, and the next save clears the torn one away.
func TestTornCheckpoints(t *testing.T) {
	c, log := newCheckpoints(t)
	states := newFakeTrainer().State()
	for _, step := range []int{10, 20} {
		if _, err := c.save(progress{Step: step}, states); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(c.path(20))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(c.path(20), whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if last, err := c.last(); err != nil || last.Step != 10 {
			t.Fatalf("cut at %d: last %v, %v", n, last, err)
		}
	}
	if !strings.Contains(log.String(), "checkpoint passed over") {
		t.Error("nobody was told")
	}
	if err := os.Rename(c.path(10), c.path(30)); err != nil { // not what its name says
		t.Fatal(err)
	}
	if last, err := c.last(); err != nil || last != nil {
		t.Errorf("last %v, %v", last, err)
	}
	if _, err := c.save(progress{Step: 5}, states); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"step-000005.safetensors"}, names(t, c.dir)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckpointOfAnotherVersionIsNoTornOne(t *testing.T) {
	c, _ := newCheckpoints(t)
	meta := map[string]string{checkpointKey: fmt.Sprintf(`{"format":%d,"step":10}`, checkpointFormat+1)}
	if err := weights.Write(c.path(10), nil, meta); err != nil {
		t.Fatal(err)
	}
	if _, err := c.last(); !errors.Is(err, errFormat) || !strings.Contains(err.Error(), "format 2, this program reads 1") {
		t.Error(err)
	}
}

func TestPruneKeepsLastAndBest(t *testing.T) {
	c, _ := newCheckpoints(t)
	scores := map[int]float64{1: 3, 2: 9, 3: 4}
	for step := 1; step <= 6; step++ {
		p := progress{Step: step}
		if s, ok := scores[step]; ok {
			p.Score = &s
		}
		if _, err := c.save(p, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"step-000002.safetensors", "step-000004.safetensors", "step-000005.safetensors", "step-000006.safetensors"}
	if diff := cmp.Diff(want, names(t, c.dir)); diff != "" {
		t.Error(diff)
	}
}

func TestUselessWeightsAreNotSaved(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		c, _ := newCheckpoints(t)
		f := newFakeTrainer()
		f.m.data[4] = float32(bad)
		_, err := c.save(progress{Step: 3}, f.State())
		if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), `"adam.m/g.weight"`) {
			t.Error(err)
		}
		if got := names(t, c.dir); len(got) > 0 {
			t.Errorf("left behind: %q", got)
		}
	}
}

func TestRestoreListsDifferences(t *testing.T) {
	c, _ := newCheckpoints(t)
	buffers := func(prefix string, n int) (s []State) {
		for i := range n {
			s = append(s, State{Name: fmt.Sprintf("%s%d", prefix, i), Buffer: newBuffer(2)})
		}
		return s
	}
	path, err := c.save(progress{Step: 1}, append(buffers("same", 2), buffers("there", 7)...))
	if err != nil {
		t.Fatal(err)
	}
	here := append(buffers("same", 2), buffers("here", 2)...)
	here[1].Buffer = newBuffer(2, 1)
	here[0].Buffer.Write([]float32{1, 2})
	err = restore(path, here)
	want := "restore checkpoint " + path + ": it is of another network: missing there: here0, here1; " +
		"unknown here: there0, there1, there2, there3, there4, and 2 more; of another shape: same1 ([2] there, [2 1] here)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if got := here[0].Buffer.(*hostBuffer).data; got[0] != 1 {
		t.Error("a buffer was written all the same")
	}
}
