package published

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// listing writes shapes down, a tensor a line, and back.
func listing(s Shapes) []byte {
	var b []byte
	for _, n := range s.names() {
		b = append(b, n...)
		for _, d := range s[n] {
			b = strconv.AppendInt(append(b, ' '), int64(d), 10)
		}
		b = append(b, '\n')
	}
	return b
}

func listed(text []byte) Shapes {
	s := Shapes{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		shape := []int{}
		for _, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 { // files are read with sizes from 0 up alone
				break
			}
			shape = append(shape, n)
		}
		s[words[0]] = shape
	}
	return s
}

// FuzzRecognise: whatever the names and shapes are, either there is one clear
// line about them, or the network found has exactly these tensors.
func FuzzRecognise(f *testing.F) {
	for _, c := range nets {
		f.Add(listing(shapesOf(f, c.net)), []byte(nvidia), false)
	}
	f.Add(listing(shapesOf(f, nets[0].net).withStatistics()), []byte(junyanz), true)
	f.Fuzz(func(t *testing.T, text, opt []byte, running bool) {
		state := listed(text)
		o, err := ParseOpt(opt)
		if err != nil {
			o = nil
		}
		c := Choices{}
		if running {
			c.NormStats = "running"
		}
		found, err := Recognise(state, Surroundings{Options: o}, c)
		if err != nil {
			if !errors.Is(err, ErrChoice) && !errors.Is(err, ErrUnknown) && !errors.Is(err, errMisfit) || strings.Contains(err.Error(), "%!") {
				t.Fatalf("%v", err)
			}
			return
		}
		if err := found.Net.Validate(); err != nil {
			t.Fatal(err)
		}
		want := shapesOf(t, found.Net)
		for name, shape := range want {
			if !slices.Equal(state[name], shape) {
				t.Fatalf("%s is %v, not %v", name, state[name], shape)
			}
		}
		for name := range state {
			if _, ok := want[name]; !ok && !statistic(name) {
				t.Fatalf("%s is not of %s", name, found.Network)
			}
		}
	})
}
