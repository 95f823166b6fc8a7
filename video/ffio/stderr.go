package ffio

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

const (
	keepLines = 20   // of the end of what a child says
	keepBytes = 2048 // of one line
)

// stderrLog keeps the first error and the last lines that a child wrote, in
// bounded memory. Children run with -loglevel level+..., so each line carries
// its level.
type stderrLog struct {
	mu     sync.Mutex
	part   []byte
	first  string
	errors int
	nospc  bool
	last   []string
}

func (l *stderrLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		if room := keepBytes - len(l.part); room > 0 {
			l.part = append(l.part, line[:min(room, len(line))]...)
		}
		if ended {
			l.line(string(l.part))
			l.part = l.part[:0]
		}
		p = rest
	}
	return n, nil
}

var (
	levelTag = regexp.MustCompile(`\[(error|fatal|panic)\] `)
	// benign errors come from ffmpeg's own end of the pipe, not from the clip.
	benign = regexp.MustCompile(`non monotonically increasing dts to muxer`)
	prefix = regexp.MustCompile(`^(\[[^\]]*\] )+`)
)

func (l *stderrLog) line(s string) {
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	if strings.TrimSpace(s) == "" {
		return
	}
	bad := levelTag.MatchString(s) && !benign.MatchString(s)
	s = prefix.ReplaceAllString(s, "")
	if bad {
		l.errors++
		if l.first == "" {
			l.first = s
		}
	}
	l.nospc = l.nospc || strings.Contains(s, "No space left on device")
	if l.last = append(l.last, s); len(l.last) > keepLines {
		l.last = l.last[1:]
	}
}

// cause is the line that best says what went wrong: the first error, or else
// the last thing said.
func (l *stderrLog) cause() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.first != "":
		return l.first
	case len(l.part) > 0:
		return prefix.ReplaceAllString(string(l.part), "")
	case len(l.last) > 0:
		return l.last[len(l.last)-1]
	}
	return ""
}

// broken counts the lines at error level and returns the first.
func (l *stderrLog) broken() (int, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errors, l.first
}

// full reports whether the disk was.
func (l *stderrLog) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nospc
}
