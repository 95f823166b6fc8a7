//go:build cgo && linux

package cuda_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

const header = "%-46s %10s %9s %8s  %-18s %-46s %s\n"

// titles writes what columns are, behind some words.
func titles(out io.Writer, before string) {
	io.WriteString(out, before)
	fmt.Fprintf(out, header, "work", "ms", "a second", "TFLOP/s", "PyTorch's ms", "wanted", "reached")
}

// whole writes what is known of all rows, and why something is not.
func (t *table) whole(out io.Writer) {
	titles(out, "\n"+cmp.Or(t.about, "no PyTorch")+"\n")
	for _, l := range t.lines {
		io.WriteString(out, l.text(t.rate()))
	}
	for _, l := range t.lines {
		if l.ours != nil && l.ours.By != "" {
			fmt.Fprintf(out, "%s: convolutions by %s, first result after %.1f s\n", l.row, l.ours.By, l.ours.Compile)
		}
		for _, why := range l.lacks {
			fmt.Fprintf(out, "%s: PyTorch %s\n", l.row, why)
		}
	}
	for _, fault := range t.faults() {
		fmt.Fprintln(out, fault)
	}
}

// say writes a row as soon as more is known of it.
func (t *table) say(l *line) {
	io.WriteString(t.out, l.text(t.rate()))
	if t.file == "" {
		return
	}
	var all bytes.Buffer
	t.whole(&all)
	if err := os.WriteFile(t.file, all.Bytes(), 0o644); err != nil {
		fmt.Fprintln(t.out, err)
	}
}

// rate is the TFLOP/s that the card's products of matrices reach, ours or PyTorch's,
// or 0.
func (t *table) rate() float64 {
	for _, l := range t.lines {
		if l.kind != "rate" || l.ours == nil {
			continue
		}
		ms := l.ours.Ms
		if l.rival > 0 {
			ms = min(ms, l.rival)
		}
		return float64(l.ours.Work) / ms / 1e9
	}
	return 0
}

// text is a row's line, and one more for each goal behind the first.
func (l *line) text(rate float64) string {
	ms, second, tflops, theirs := "-", "-", "-", "-"
	if m := l.ours; m != nil && m.Ms > 0 {
		ms, second = fmt.Sprintf("%.3f", m.Ms), fmt.Sprintf("%.1f", 1e3/m.Ms)
		if m.Work > 0 {
			tflops = fmt.Sprintf("%.1f", float64(m.Work)/m.Ms/1e9)
		}
	}
	if l.rival > 0 {
		theirs = fmt.Sprintf("%.3f %s", l.rival, l.how)
	}
	goals := l.goals
	if len(goals) == 0 {
		goals = []goal{{}}
	}
	var b strings.Builder
	for i, g := range goals {
		name := l.String()
		if i > 0 {
			name, ms, second, tflops, theirs = "", "", "", "", ""
		}
		wanted, reached := l.verdict(g, rate)
		fmt.Fprintf(&b, header, name, ms, second, tflops, theirs, wanted, reached)
	}
	return b.String()
}

// verdict says what is wanted, what is reached, and whether that is enough.
func (l *line) verdict(g goal, rate float64) (wanted, reached string) {
	if g.of == "" {
		return "", ""
	}
	limit, have := "at least", l.reached(g.of, rate)
	enough := have >= g.want
	if g.of == ofCost {
		limit, enough = "under", have < g.want
	}
	wanted = fmt.Sprintf("%s %g%s", limit, g.want, g.of.unit())
	switch {
	case math.IsNaN(have):
		return wanted, "?"
	case enough:
		return wanted, fmt.Sprintf("%.2f yes", have)
	}
	return wanted, fmt.Sprintf("%.2f NO", have)
}

// unit is what a goal's number is followed by.
func (m measure) unit() string {
	if strings.HasPrefix(string(m), "%") {
		return string(m)
	}
	return " " + string(m)
}

// reached is what a row has of a goal; no number where that is not known.
func (l *line) reached(of measure, rate float64) float64 {
	m := l.ours
	if m == nil {
		m = &measured{}
	}
	known := func(x, y float64) float64 { // x/y
		if x > 0 && y > 0 {
			return x / y
		}
		return math.NaN()
	}
	switch of {
	case ofPeer:
		return known(l.rival, m.Ms)
	case ofRate:
		return 100 * known(known(float64(m.Work)/1e9, m.Ms), rate)
	case ofFrames:
		return known(1e3, m.Ms)
	case ofAlone:
		return known(m.Alone, m.Ms)
	}
	return 100 * (1 - known(m.Alone, m.Ms))
}
