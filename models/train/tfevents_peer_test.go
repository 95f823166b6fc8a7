package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEventsInGooglesProtobuf: the runtime that TensorBoard reads with finds
// every field where event.proto and summary.proto have it, and no others.
func TestEventsInGooglesProtobuf(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import google.protobuf").Run(); err != nil {
		t.Skipf("python3-protobuf is missing: %v", err)
	}
	dir := t.TempDir()
	e, err := createEvents(dir, 40, func() time.Time { return time.Unix(1700000000, 500000000) })
	if err != nil {
		t.Fatal(err)
	}
	png := []byte("\x89PNG and so on")
	if err := e.scalars(41, []Loss{{"loss/G", 0.25}, {"lr", 0.5}}); err != nil {
		t.Fatal(err)
	}
	if err := e.image(42, "samples", 48, 32, png); err != nil {
		t.Fatal(err)
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	out, err := exec.Command(python, "testdata/events.py", files[0]).CombinedOutput()
	if err != nil {
		t.Fatalf("events.py: %v\n%s", err, out)
	}
	type event struct {
		Wall    float64
		Step    int
		Version string
		Status  int
		Scalars map[string]float64
		Images  map[string][]any
	}
	sum := sha256.Sum256(png)
	blank := event{Wall: 1700000000.5, Scalars: map[string]float64{}, Images: map[string][]any{}}
	want := []event{blank, blank, blank, blank}
	want[0].Version = "brain.Event:2"
	want[1].Step, want[1].Status = 41, 1
	want[2].Step, want[2].Scalars = 41, map[string]float64{"loss/G": 0.25, "lr": 0.5}
	want[3].Step, want[3].Images = 42, map[string][]any{"samples": {32.0, 48.0, 3.0, hex.EncodeToString(sum[:])}}
	var got []event
	for line := range strings.Lines(string(out)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		got = append(got, e)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
