//go:build cgo && linux

package cuda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pytorch stands for PyTorch: it measures what it is asked for in a moment, but
// fails at a step, and hangs behind its first way of a product.
const pytorch = `#!/bin/sh
echo '{"about": "PyTorch 0"}'
case "$2" in
*'"kind":"step"'*) echo 'RuntimeError: out of memory' >&2; exit 1 ;;
*'"kind":"rate"'*) echo '{"how": "eager", "ms": 0.5}'; sleep 100 ;;
*tuned*) echo '{"how": "tuned", "ms": 40}' ;;
*) echo '{"how": "eager", "ms": 50}'; echo '{"how": "graph", "error": "KeyError: none"}' ;;
esac
`

// testTableOnFake measures a tiny row of every kind.
func testTableOnFake(t *testing.T) {
	dir := t.TempDir()
	python := filepath.Join(dir, "python3")
	if err := os.WriteFile(python, []byte(pytorch), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("V2V_PYTHON", python)
	var text, log strings.Builder
	tab := newTable(&text)
	tab.log, tab.file, tab.until = &log, filepath.Join(dir, "table.txt"), time.Now().Add(2*time.Minute)
	tab.measure()
	text.Reset()
	tab.whole(&text)
	for _, fault := range tab.faults() {
		t.Error(fault)
	}
	for _, l := range tab.lines {
		if l.ours == nil || !(l.ours.Ms > 0) || l.ours.Work == 0 || l.ours.Compile == 0 {
			t.Errorf("%s: %+v", l.row, l.ours)
		}
		if alone := l.kind == "clip" || l.kind == "lockstep"; l.ours != nil && alone != (l.ours.Alone > 0) {
			t.Errorf("%s: %+v", l.row, l.ours)
		}
	}
	t.Log(text.String())
	of := func(kind string) *line {
		return tab.lines[slices.IndexFunc(tab.lines, func(l *line) bool { return l.kind == kind })]
	}
	if l := of("forward"); l.rival != 20 || l.how != "tuned" || fmt.Sprint(l.lacks) != "[graph: KeyError: none]" {
		t.Errorf("two frames in 50 ms, then in 40: %v %s %q", l.rival, l.how, l.lacks)
	}
	if l := of("step"); l.rival != 0 || fmt.Sprint(l.lacks) != "[eager: exit status 1: RuntimeError: out of memory]" {
		t.Errorf("a step fails: %v %q", l.rival, l.lacks)
	}
	if l := of("rate"); l.rival != 0.5 || fmt.Sprint(l.lacks) != `[eager: ended after 2 s: {"how": "eager", "ms": 0.5}]` {
		t.Errorf("a product hangs: %v %q", l.rival, l.lacks)
	}
	kept, err := os.ReadFile(tab.file)
	if err != nil || string(kept) != text.String() {
		t.Errorf("%s: %v\n%s\nprinted:\n%s", tab.file, err, kept, text.String())
	}
	if !strings.Contains(log.String(), "RuntimeError: out of memory") {
		t.Errorf("log:\n%s", log.String())
	}
}

// TestTableVerdicts: what the table says of numbers, and of what is missing.
func TestTableVerdicts(t *testing.T) {
	rows, tab := onTheCard(), &table{about: "PyTorch 1"}
	for _, r := range rows {
		tab.lines = append(tab.lines, &line{row: r})
	}
	check := func(want string) {
		t.Helper()
		var text strings.Builder
		tab.whole(&text)
		if s := strings.Join(strings.Fields(text.String()), " "); !strings.Contains(s, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("want %q in\n%s", want, text.String())
		}
	}
	check("composite ngf 128, 1 x 512x1024, bf16 - - - - at least 1.5 x PyTorch's best ? at least 45% of the rate of bf16 products ?")
	check("3 scales ngf 128, 1 x 1024x2048, bf16 - - - - at least 60 frames/s ?")
	first := tab.lines[0]
	first.ours = &measured{Ms: 10, Work: 4e12, By: "cuDNN 1, own 2", Compile: 3}
	check("bf16 10.000 100.0 400.0 - at least 1.5 x PyTorch's best ? at least 45% of the rate of bf16 products ?")
	first.rival, first.how = 14, "graph"
	tab.lines[1].ours, tab.lines[1].rival, tab.lines[1].how = &measured{Ms: 2, Work: 1e12}, 1.25, "eager"
	check("bf16 10.000 100.0 400.0 14.000 graph at least 1.5 x PyTorch's best 1.40 NO at least 45% of the rate of bf16 products 50.00 yes")
	check("bf16: convolutions by cuDNN 1, own 2, first result after 3.0 s")
	for l, m := range map[string]measured{"clip": {Ms: 10, Alone: 9.8}, "lockstep": {Ms: 2, Alone: 5}} {
		tab.lines[slices.IndexFunc(rows, func(r row) bool { return r.kind == l })].ours = &m
	}
	check("under 3% beside the launches 2.00 yes")
	check("at least 3 x the frames/s of one clip 2.50 NO")
	first.ours.Refused = []string{"conv by cudnn is 1 from own kernels"}
	tab.lines[2].failed = "exit status 2: lost"
	want := []string{"composite ngf 128, 1 x 512x1024, bf16: refused: conv by cudnn is 1 from own kernels", "composite ngf 128, 1 x 256x512, bf16: exit status 2: lost"}
	if got := tab.faults(); !slices.Equal(got, want) {
		t.Errorf("faults %q", got)
	}
	check(want[0])
}

// TestTableSecondTry: a row whose time was too short is measured again behind all others,
// one that fails is not, and behind the end of all time nothing is.
func TestTableSecondTry(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again")
	var text strings.Builder
	script := []string{
		"[ -e " + again + " ] && echo '" + rowMark + `{"Ms": 5}' && exit; touch ` + again + "; sleep 100 & wait",
		"[ -e " + again + "2 ] && exit 4; touch " + again + "2; echo an error; exit 3",
	}
	tab := &table{out: &text, log: &text, until: time.Now().Add(time.Minute)}
	tab.child = func(n int) *exec.Cmd { return exec.Command("sh", "-c", script[n]) }
	for range script {
		tab.lines = append(tab.lines, &line{row: row{limit: leastTime, goals: []goal{{ofFrames, 1}}}})
	}
	tab.measure()
	if l := tab.lines[0]; l.ours == nil || l.ours.Ms != 5 || l.failed != "" {
		t.Errorf("%+v", l)
	}
	if l := tab.lines[1]; l.ours != nil || l.failed != "exit status 3: an error" {
		t.Errorf("%+v", l)
	}
	if n := strings.Count(text.String(), "$ sh"); n != 3 {
		t.Errorf("%d processes:\n%s", n, text.String())
	}
	tab.until = time.Now()
	if l := (&line{row: row{limit: time.Minute}}); tab.ours(0, l) || l.failed != "no time was left" {
		t.Errorf("%+v", l)
	}
	tab.until = time.Now().Add(9 * time.Second)
	began := time.Now()
	os.Remove(again)
	if l := (&line{row: row{limit: time.Minute}}); !tab.ours(0, l) || !l.late || l.failed != "ended after 3 s: " || time.Since(began) > 8*time.Second {
		t.Errorf("%+v after %v", l, time.Since(began))
	}
}

// TestTablePeer: the program that is PyTorch's side measures every kind of row, on
// the host.
func TestTablePeer(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import torch").Run() != nil {
		t.Skip("PyTorch is missing (apt install python3-torch)")
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for _, r := range onTheFake() {
		if r.peer == 0 {
			continue
		}
		r.h, r.w, r.net.Downs = max(r.h, 32), max(r.w, 32), min(r.net.Downs, 1)
		out, err := exec.CommandContext(ctx, python, "testdata/peer.py", r.peerOf([]string{"eager", "graph"}, "cpu")).CombinedOutput()
		var ways []string
		for text := range strings.Lines(string(out)) {
			var said struct {
				How, Error string
				Ms         float64
			}
			if json.Unmarshal([]byte(text), &said) == nil && said.How != "" {
				ways = append(ways, fmt.Sprintf("%s %v %v", said.How, said.Ms > 0, said.Error != ""))
			}
		}
		if fmt.Sprint(ways) != "[eager true false graph false true]" {
			t.Errorf("%s: %v\n%s", r, err, out)
		}
	}
}
