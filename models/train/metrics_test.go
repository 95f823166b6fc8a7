package train

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrimMetrics(t *testing.T) {
	const a, b, c = "{\"step\":1,\"losses\":{}}\n", "{\"step\":2}\n", "{\"step\":10}\n"
	for _, k := range []struct {
		name, in string
		step     int
		want     string
	}{
		{"nothing", "", 5, ""},
		{"all of it", a + b + c, 10, a + b + c},
		{"beyond the checkpoint", a + b + c, 9, a + b},
		{"from the beginning", a + b, 0, ""},
		{"torn last line", a + b + c[:5], 10, a + b},
		{"whole last line without its end", a + strings.TrimSpace(b), 10, a},
		{"no JSON", a + "what\n" + b, 10, a},
		{"JSON of another kind", a + "[2]\n" + b, 10, a},
		{"a step twice", a + b + b + c, 10, a + b},
		{"a step back", b + a, 10, b},
		{"zeros after a power cut", a + "\x00\x00\x00\n" + b, 10, a},
	} {
		t.Run(k.name, func(t *testing.T) {
			if got := string(trimMetrics([]byte(k.in), k.step)); got != k.want {
				t.Errorf("kept %q, want %q", got, k.want)
			}
		})
	}
}

// FuzzTrimMetrics: what is kept begins the input, is made of whole lines of
// ascending steps, and is kept again.
func FuzzTrimMetrics(f *testing.F) {
	f.Add([]byte("{\"step\":1}\n{\"step\":2}\n{\"step\":"), 5)
	f.Add([]byte("{\"step\":1e3}\n\n"), 1000)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		kept := trimMetrics(data, step)
		if !bytes.HasPrefix(data, kept) || !bytes.Equal(trimMetrics(kept, step), kept) {
			t.Fatalf("%q became %q", data, kept)
		}
		before := 0
		for line := range bytes.Lines(kept) {
			var raw struct{ Step int }
			if err := json.Unmarshal(line, &raw); err != nil || raw.Step <= before || raw.Step > step || line[len(line)-1] != '\n' {
				t.Fatalf("kept line %q after step %d: %v", line, before, err)
			}
			before = raw.Step
		}
	})
}

func TestMetricsGoOnAfterTheirStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), metricsFile)
	write := func(from, to, resume int) {
		t.Helper()
		m, err := openMetrics(path, resume)
		if err != nil {
			t.Fatal(err)
		}
		for s := from; s <= to; s++ {
			if err := m.add(record{Step: s, LR: 0.5, Losses: Losses{{"b", 0.25}, {"a", float64(s)}}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.add(record{Losses: Losses{{"b", math.NaN()}}}); err == nil {
			t.Error("wrote what is no number")
		}
		if err := m.sync(); err != nil {
			t.Error(err)
		}
		if err := m.close(); err != nil {
			t.Error(err)
		}
	}
	write(1, 3, 0)
	write(3, 4, 2)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	if len(lines) != 4 || lines[2] != `{"step":3,"sample":0,"lr":0.5,"losses":{"b":0.25,"a":3},"spent":0}` {
		t.Errorf("metrics:\n%s", got)
	}
}
