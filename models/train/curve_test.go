package train

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeRun(t *testing.T, metrics, log string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{metricsFile: metrics, logFile: log} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadCurve(t *testing.T) {
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	l.Info("started", "step", 0)
	l.Info("epoch", "step", 0, "number", 0, "frames", 4)
	l.Info("epoch", "step", 1, "number", 1, "frames", 4)
	l.Info("epoch", "step", 1, "number", 2, "frames", 8)
	l.Info("stage", "step", 2, "stage", 1)
	l.Warn("D wins: its accuracy is 0.99", "step", 3)
	l.Warn("D wins: its accuracy is 0.99", "step", 3) // taken again after a resume
	l.Warn("beyond what is there", "step", 9)
	l.Warn("of no step")
	dir := writeRun(t, `{"step":1,"lr":0.5,"losses":{"Z":1,"A":2}}
{"step":2,"lr":0.5,"losses":{"Z":1,"A":2,"DT_real":7}}
{"step":3,"lr":0.25,"losses":{"A":2}}
{"step":4,"lr":0.2`, log.String())
	c, err := ReadCurve(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := &Curve{
		Keys: []string{"Z", "A", "DT_real"},
		Steps: []CurveStep{{1, 0.5, map[string]float64{"Z": 1, "A": 2}}, {2, 0.5, map[string]float64{"Z": 1, "A": 2, "DT_real": 7}},
			{3, 0.25, map[string]float64{"A": 2}}},
		Marks: []Mark{{1, "samples of 8 frames", false}, {2, "stage 1", false}, {3, "D wins: its accuracy is 0.99", true}},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
}

func TestReadCurveSaysWhatIsWrong(t *testing.T) {
	if _, err := ReadCurve(t.TempDir()); !errors.Is(err, ErrNoMetrics) || !strings.Contains(err.Error(), "train --out") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := ReadCurve(writeRun(t, "", "")); !errors.Is(err, ErrNoMetrics) || !strings.Contains(err.Error(), "no step is done") {
		t.Errorf("empty metrics: %v", err)
	}
	if _, err := ReadCurve(writeRun(t, "{\"step\":1}\nrubbish\n{\"step\":3}\n", "")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a broken line: %v", err)
	}
}

func FuzzLogFields(f *testing.F) {
	f.Add(`time=1 level=WARN msg="D \"wins\"" step=3`)
	f.Add(`a= b="x`)
	f.Add("=\"\\")
	f.Fuzz(func(t *testing.T, line string) { logFields(line) })
}
