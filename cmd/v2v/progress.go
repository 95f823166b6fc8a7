package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// meter shows how far something is: a bar where stderr is a terminal, and a
// line now and then where it is not. The methods are called by one goroutine
// at a time.
type meter struct {
	a     *app
	unit  string // what is counted, in the plural
	bar   *progressbar.ProgressBar
	began time.Time
	last  time.Time // when a line was printed

	barWidth int                 // of 80 columns; counts and times take 44
	cut      func(string) string // shortens a text to what is left
}

// lineEvery is how often a log is told of a run that goes on for hours.
const lineEvery = 10 * time.Second

// meter starts one.
func (a *app) meter(unit string) *meter {
	return &meter{a: a, unit: unit, began: time.Now(), last: time.Now(), barWidth: 16, cut: keepEnd}
}

// set shows n of total, 0 for unknown; text says of what.
func (m *meter) set(n, total int, text string) {
	if !m.a.tty {
		m.line(n, total, text)
		return
	}
	if m.bar == nil {
		m.bar = progressbar.NewOptions(max(total, 1), progressbar.OptionSetWriter(m.a.err),
			progressbar.OptionSetWidth(m.barWidth),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(m.unit),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	}
	if total > 0 && m.bar.GetMax() != total {
		m.bar.ChangeMax(total)
	}
	m.bar.Describe(m.cut(text))
	if n < m.bar.GetMax() { // the last step would end the bar for good
		m.bar.Set(n)
	}
}

func (m *meter) line(n, total int, text string) {
	if time.Since(m.last) < lineEvery {
		return
	}
	m.last = time.Now()
	of := ""
	if total > 0 {
		of = fmt.Sprintf(" of %d", total)
	}
	m.a.say("%s: %d%s %s, %.2f a second", text, n, of, m.unit, float64(n)/time.Since(m.began).Seconds())
}

// say prints a line above the bar.
func (m *meter) say(format string, args ...any) {
	if m.bar != nil {
		m.bar.Clear()
	}
	m.a.say(format, args...)
}

// done takes the bar away.
func (m *meter) done() {
	if m.bar != nil {
		m.bar.Exit()
		m.bar.Clear()
		m.bar = nil
	}
}

// keepEnd keeps the end of a name, which tells clips apart.
func keepEnd(s string) string {
	const width = 20
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return "…" + string(r[len(r)-width+1:])
}

// keepStart keeps the losses that come first, whole.
func keepStart(s string) string {
	const width = 30
	if len(s) <= width {
		return s
	}
	cut := strings.LastIndex(s[:width+1], " ")
	if last := strings.Fields(s[:cut]); len(last)%2 == 1 { // a name without its value
		cut = strings.LastIndex(s[:cut], " ")
	}
	return s[:cut]
}
