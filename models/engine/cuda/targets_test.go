//go:build cgo && linux

package cuda_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/v2v/v2v/models/engine/cuda"
)

// line is what is known of a row.
type line struct {
	row
	ours   *measured
	failed string   // why ours is missing
	rival  float64  // PyTorch's ms
	how    string   // which of PyTorch's ways was the quickest
	lacks  []string // which of them failed
	late   bool     // ours was ended as its time was over
}

// table measures rows and writes what it knows.
type table struct {
	out    io.Writer // a line when it is known, all of them at the end
	file   string    // has all of them at any time, where it is named
	log    io.Writer // what the processes say
	about  string
	until  time.Time
	lines  []*line
	child  func(n int) *exec.Cmd
	python func(r row, hows []string) *exec.Cmd
}

// newTable is of this machine's rows. V2V_PYTHON is the program that has PyTorch.
func newTable(out io.Writer) *table {
	device := "cuda"
	if !onCard {
		device = "cpu"
	}
	t := &table{out: out, log: io.Discard}
	for _, r := range rows() {
		t.lines = append(t.lines, &line{row: r})
	}
	t.child = func(n int) *exec.Cmd {
		c := exec.Command(os.Args[0], "-test.run=^TestRow$")
		c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", rowVariable, n))
		return c
	}
	t.python = func(r row, hows []string) *exec.Cmd {
		python := os.Getenv("V2V_PYTHON")
		if python == "" {
			python = "python3"
		}
		return exec.Command(python, "testdata/peer.py", r.peerOf(hows, device))
	}
	return t
}

// measure measures, as far as time goes, ours and then PyTorch's where something is
// wanted, then the others, then those of ours whose time was too short, then by the way
// of PyTorch's that takes longest to prepare.
func (t *table) measure() {
	titles(t.out, "")
	for _, wanted := range []bool{true, false} {
		some := func(l *line) bool { return wanted == (len(l.goals) > 0 || l.kind == "rate") }
		for n, l := range t.lines {
			if some(l) && t.ours(n, l) {
				t.say(l)
			}
		}
		t.theirs(func(l *line, how string) bool { return some(l) && how != "tuned" })
	}
	for n, l := range t.lines { // chosen ways are kept: a second process goes on behind the first
		if l.late && t.ours(n, l) {
			t.say(l)
		}
	}
	t.theirs(func(_ *line, how string) bool { return how == "tuned" })
}

// theirs has PyTorch measure rows in some of their ways.
func (t *table) theirs(some func(l *line, how string) bool) {
	for _, l := range t.lines {
		hows := slices.DeleteFunc(slices.Clone(l.hows), func(how string) bool { return !some(l, how) })
		if l.peer > 0 && len(hows) > 0 && t.ask(l, hows) {
			t.say(l)
		}
	}
}

// What becomes of a process whose time is over, and of one that never had any.
var (
	errEnded  = errors.New("ended")
	errNoTime = errors.New("no time was left")
)

// leastTime is what a process is started for.
const leastTime = 2 * time.Second

// run starts a process, gives its lines to f as they come, and ends it and what it
// started when its time is over, which is at most a third of what is left for all. It
// returns the end of what it said.
func (t *table) run(c *exec.Cmd, limit time.Duration, f func(text string)) (tail string, err error) {
	left := time.Until(t.until)
	if left < leastTime {
		return "", errNoTime
	}
	limit = min(limit, max(left/3, leastTime))
	runtime.LockOSThread() // whose end would end the process
	defer runtime.UnlockOSThread()
	var said bytes.Buffer
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	c.Stdout, c.Stderr, c.SysProcAttr = w, w, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = c.Start()
	w.Close()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(t.log, "\n$ %s\n", strings.Join(c.Args, " "))
	end := time.AfterFunc(limit, func() { syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	defer end.Stop()
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(io.MultiWriter(t.log, &said, &splitter{f: f}), r)
	}()
	err = c.Wait()
	syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // who holds the pipe still
	<-read
	if err != nil && !end.Stop() {
		err = fmt.Errorf("%w after %.0f s", errEnded, limit.Seconds())
	}
	return lastOf(said.String()), err
}

// splitter calls f with each whole line.
type splitter struct {
	f    func(string)
	rest string
}

func (s *splitter) Write(p []byte) (int, error) {
	s.rest += string(p)
	for {
		text, rest, whole := strings.Cut(s.rest, "\n")
		if !whole {
			return len(p), nil
		}
		s.rest = rest
		s.f(text)
	}
}

// lastOf is the line of a failed process's words that says most: the last that tells
// of an error, or the last.
func lastOf(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, text := range slices.Backward(lines) {
		if low := strings.ToLower(text); strings.Contains(low, "error") || strings.Contains(low, "_test.go:") || strings.Contains(low, "panic") {
			return strings.TrimSpace(text)
		}
	}
	return lines[len(lines)-1]
}

// ours has a process measure a row, and reports whether there was time to.
func (t *table) ours(n int, l *line) bool {
	tail, err := t.run(t.child(n), l.limit, func(text string) {
		if said, is := strings.CutPrefix(text, rowMark); is {
			m := &measured{}
			if json.Unmarshal([]byte(said), m) == nil {
				l.ours = m
			}
		}
	})
	switch {
	case errors.Is(err, errNoTime):
		l.failed = cmp.Or(l.failed, err.Error())
		return false
	case err != nil:
		l.failed = fmt.Sprintf("%v: %s", err, tail)
	default:
		l.failed = ""
	}
	l.late = l.ours == nil && errors.Is(err, errEnded)
	return true
}

// ask has PyTorch measure a row in some ways, and reports whether there was time to.
func (t *table) ask(l *line, hows []string) bool {
	tail, err := t.run(t.python(l.row, hows), l.peer, func(text string) {
		var said struct {
			About, How, Error string
			Ms                float64
		}
		if json.Unmarshal([]byte(text), &said) != nil {
			return
		}
		if said.About != "" {
			t.about = said.About
		}
		if said.Error != "" {
			l.lacks = append(l.lacks, said.How+": "+said.Error)
		}
		if ms := said.Ms / float64(max(l.batch, 1)); ms > 0 && (l.rival == 0 || ms < l.rival) {
			l.rival, l.how = ms, said.How
		}
	})
	if errors.Is(err, errNoTime) {
		l.lacks = append(l.lacks, fmt.Sprintf("%s: %v", strings.Join(hows, ", "), err))
		return false
	}
	if err != nil {
		l.lacks = append(l.lacks, fmt.Sprintf("%s: %v: %s", strings.Join(hows, ", "), err, tail))
	}
	return true
}

// TestTable measures every row and prints the table of what is wanted. On the fake
// driver, whose time says nothing, it only shows that it would.
func TestTable(t *testing.T) {
	if !onCard {
		needFake(t)
		testTableOnFake(t)
		return
	}
	cards, err := cuda.Probe()
	if err != nil {
		t.Fatal(err)
	}
	tab := newTable(os.Stdout)
	seconds := 480
	if s := os.Getenv("V2V_CUDA_SECONDS"); s != "" {
		if seconds, err = strconv.Atoi(s); err != nil {
			t.Fatalf("V2V_CUDA_SECONDS: %v", err)
		}
	}
	tab.until = time.Now().Add(time.Duration(seconds) * time.Second)
	if dir := os.Getenv("OUT"); dir != "" {
		tab.file = filepath.Join(dir, "table.txt")
		f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tab.log = f
	}
	fmt.Fprintln(tab.out, cards[0].About)
	tab.measure()
	tab.whole(tab.out)
	for _, fault := range tab.faults() {
		t.Error(fault)
	}
}

// faults are rows of ours that failed, and ways to convolve whose results were
// wrong.
func (t *table) faults() (all []string) {
	for _, l := range t.lines {
		if l.failed != "" {
			all = append(all, fmt.Sprintf("%s: %s", l.row, l.failed))
		}
		if l.ours != nil {
			for _, way := range l.ours.Refused {
				all = append(all, fmt.Sprintf("%s: refused: %s", l.row, way))
			}
		}
	}
	return all
}
