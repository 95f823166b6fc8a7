package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	maxHeader   = 100_000_000 // the reference implementation's own limit
	metadataKey = "__metadata__"
)

// entry is a tensor and where its bytes lie, counted from the end of the header.
type entry struct {
	Info
	begin, end int
}

// layout is a decoded header: entries in the order of their bytes.
type layout struct {
	entries  []entry
	metadata map[string]string
	data     int // offset of the first tensor byte
}

// parseLayout reads and proves the header of a whole file.
func parseLayout(file []byte) (*layout, error) {
	if len(file) < 8 {
		return nil, fmt.Errorf("truncated: %d bytes are too few for a safetensors file", len(file))
	}
	n := le.Uint64(file)
	switch {
	case n > maxHeader:
		return nil, errors.New("it is not a safetensors file: its first 8 bytes are not the length of a header")
	case n > uint64(len(file)-8):
		return nil, fmt.Errorf("truncated: the header alone needs %d bytes, the file has %d", n+8, len(file))
	}
	header := file[8 : 8+n]
	if !bytes.HasPrefix(header, []byte("{")) || !utf8.Valid(header) {
		return nil, errors.New("it is not a safetensors file: the header is not JSON")
	}
	r := headerReader{json.NewDecoder(bytes.NewReader(header))}
	r.d.UseNumber()
	l, err := r.layout()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if tail := bytes.TrimSpace(header[r.d.InputOffset():]); len(tail) != 0 {
		return nil, errors.New("header: data after the JSON object")
	}
	l.data = int(8 + n)
	return l, l.check(len(file))
}

// check proves that the tensors tile the rest of the file exactly.
func (l *layout) check(fileSize int) error {
	slices.SortStableFunc(l.entries, func(a, b entry) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		return a.end - b.end
	})
	at := 0
	for _, e := range l.entries {
		switch {
		case e.begin > at:
			return fmt.Errorf("header: %d bytes before tensor %q belong to nothing", e.begin-at, e.Name)
		case e.begin < at:
			return fmt.Errorf("header: tensor %q overlaps the one before it", e.Name)
		}
		at = e.end
	}
	have := fileSize - l.data
	if at > have {
		return fmt.Errorf("truncated: header announces %d bytes, file has %d", l.data+at, fileSize)
	}
	if at < have {
		return fmt.Errorf("damaged: header announces %d bytes, file has %d", l.data+at, fileSize)
	}
	return nil
}

// headerReader walks the JSON token by token, because encoding/json would
// accept duplicate keys, unknown fields and any depth.
type headerReader struct{ d *json.Decoder }

func (r headerReader) layout() (*layout, error) {
	l := &layout{}
	seen := map[string]bool{}
	err := r.object(func(key string) error {
		if seen[key] {
			return fmt.Errorf("%q appears twice", key)
		}
		seen[key] = true
		if key == metadataKey {
			m, err := r.metadata()
			l.metadata = m
			return err
		}
		e, err := r.entry(key)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		l.entries = append(l.entries, e)
		return nil
	})
	return l, err
}

func (r headerReader) metadata() (map[string]string, error) {
	m := map[string]string{}
	return m, r.object(func(key string) error {
		if _, twice := m[key]; twice {
			return fmt.Errorf("metadata %q appears twice", key)
		}
		v, err := r.text()
		if err != nil {
			return fmt.Errorf("metadata %q: %w", key, err)
		}
		m[key] = v
		return nil
	})
}

func (r headerReader) entry(name string) (entry, error) {
	e := entry{Info: Info{Name: name}}
	if name == "" {
		return e, errors.New("a tensor without a name")
	}
	var offsets []int
	seen := map[string]bool{}
	err := r.object(func(key string) (err error) {
		if seen[key] {
			return fmt.Errorf("%q appears twice", key)
		}
		seen[key] = true
		switch key {
		case "dtype":
			var s string
			if s, err = r.text(); err == nil {
				e.DType, err = parseDType(s)
			}
		case "shape":
			e.Shape, err = r.numbers(maxDims)
		case "data_offsets":
			offsets, err = r.numbers(2)
		default:
			err = fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err != nil {
		return e, err
	}
	if len(seen) != 3 || len(offsets) != 2 {
		return e, errors.New("needs dtype, shape and two data_offsets")
	}
	if err := checkShape(e.Shape, e.DType); err != nil {
		return e, err
	}
	e.begin, e.end = offsets[0], offsets[1]
	if e.end < e.begin || e.end-e.begin != e.Bytes() {
		return e, fmt.Errorf("%s %v is %d bytes, but its offsets are [%d,%d]", e.DType, e.Shape, e.Bytes(), e.begin, e.end)
	}
	return e, nil
}

// object calls field for every key; field consumes the value.
func (r headerReader) object(field func(key string) error) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	for r.d.More() {
		key, err := r.text()
		if err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
	}
	return r.delim('}')
}

func (r headerReader) numbers(most int) ([]int, error) {
	if err := r.delim('['); err != nil {
		return nil, err
	}
	ns := []int{}
	for r.d.More() {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		num, ok := t.(json.Number)
		if !ok || len(ns) == most {
			return nil, fmt.Errorf("expected at most %d whole numbers", most)
		}
		n, err := strconv.ParseUint(num.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%s is not a size", num)
		}
		ns = append(ns, int(n))
	}
	return ns, r.delim(']')
}

func (r headerReader) text() (string, error) {
	t, err := r.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("expected a string, found %v", t)
	}
	return s, nil
}

func (r headerReader) delim(want json.Delim) error {
	t, err := r.token()
	if err == nil && t != want {
		return fmt.Errorf("expected %v, found %v", want, t)
	}
	return err
}

func (r headerReader) token() (json.Token, error) {
	t, err := r.d.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return t, err
}
