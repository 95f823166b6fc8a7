package published

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Opt are the options that the published training code writes beside its
// checkpoints.
type Opt map[string]string

// The bounds of an opt.txt; real ones have some 80 lines.
const (
	maxOptBytes = 1 << 20
	maxOptLines = 2000
)

// ParseOpt reads lines of "name: value", as both projects print them: between
// lines of dashes, with or without a note of the default.
func ParseOpt(text []byte) (Opt, error) {
	switch {
	case len(text) > maxOptBytes:
		return nil, fmt.Errorf("it is longer than %d bytes", maxOptBytes)
	case !utf8.Valid(text) || bytes.ContainsRune(text, 0):
		return nil, errors.New("it is no text")
	}
	o := Opt{}
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n > maxOptLines {
			return nil, fmt.Errorf("it has more than %d lines", maxOptLines)
		}
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("line %d is not \"name: value\"", n)
		}
		if at := strings.LastIndex(value, "[default:"); at >= 0 {
			value = value[:at]
		}
		o[name] = strings.TrimSpace(value)
	}
	return o, nil
}

// readOpt reads a file, which may be missing.
func readOpt(path string) (Opt, error) {
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, plainly(err))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, plainly(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxOptBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, plainly(err))
	}
	o, err := ParseOpt(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w: remove it to do without", path, err)
	}
	return o, nil
}

// number is a whole number, nil where there is none.
func (o Opt) number(name string) *int {
	n, err := strconv.Atoi(o[name])
	if err != nil {
		return nil
	}
	return &n
}

// flag is a truth value as Python prints it, nil where there is none.
func (o Opt) flag(name string) *bool {
	var b bool
	switch o[name] {
	case "True":
		b = true
	case "False":
	default:
		return nil
	}
	return &b
}

// set reports whether a flag is there and true.
func (o Opt) set(name string) bool {
	b := o.flag(name)
	return b != nil && *b
}

// numbers is a list with or without brackets, nil where there is none.
func (o Opt) numbers(name string) []int {
	var ns []int
	for text := range strings.SplitSeq(strings.Trim(o[name], "[]()"), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil
		}
		ns = append(ns, n)
	}
	return ns
}

// said is what opt.txt says of the channels of a control picture.
func (s Surroundings) said() said {
	o := s.Options
	c := said{label: o.number("label_nc"), edges: o.flag("use_instance")}
	if without := o.flag("no_instance"); c.edges == nil && without != nil {
		with := !*without
		c.edges = &with
	}
	if o.set("instance_feat") || o.set("label_feat") {
		c.features = o.number("feat_num")
	}
	return c
}
