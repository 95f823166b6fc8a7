package weights

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Tensor is one tensor to write. Exactly one of Data, Load, Copy and Raw
// supplies its elements.
type Tensor struct {
	Name  string
	DType DType // as stored; Data and Load are converted to it, so it is a floating type for them
	Shape []int

	Data []float32                 // borrowed until Write returns
	Load func(dst []float32) error // fills dst, which is reused: the next tensor overwrites it
	Copy func(w io.Writer) error   // writes the little-endian elements of DType, in order, and nothing else
	Raw  []byte                    // little-endian elements of DType, borrowed until Write returns
}

func (t Tensor) info() Info { return Info{Name: t.Name, DType: t.DType, Shape: t.Shape} }

// Write makes a safetensors file, whole or not at all: it is written beside
// path under a name that begins with a dot, synced and renamed. The same
// tensors and metadata give the same bytes, in whatever order they come. Memory
// beyond the caller's is one tensor given by Load and one megabyte.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int {
		if a.DType.valid() && b.DType.valid() && a.DType.Size() != b.DType.Size() {
			return b.DType.Size() - a.DType.Size() // wide elements first keeps all of them aligned
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, err := encodeHeader(sorted, metadata)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return atomically(path, func(f *os.File) error {
		if _, err := f.Write(header); err != nil {
			return err
		}
		return writeAll(f, sorted)
	})
}

// atomically gives fill a file beside path, under a name that begins with a
// dot, and makes it path when it is filled and synced.
func atomically(path string, fill func(f *os.File) error) error {
	dir := filepath.Dir(path)
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir),
		renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, cause(err))
	}
	err = fill(f.File)
	if err == nil {
		err = f.CloseAtomicallyReplace()
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, cause(err)), f.Cleanup())
	}
	return nil
}

// writeAll writes the elements of all tensors, one after the other.
func writeAll(w io.Writer, tensors []Tensor) error {
	b := &buffers{bytes: make([]byte, 1<<20)}
	for _, t := range tensors {
		if err := b.write(w, t); err != nil {
			return err
		}
	}
	return nil
}

// buffers are what writing one tensor after the other reuses.
type buffers struct {
	floats []float32
	bytes  []byte
	piled  bufio.Writer // for sources that come in small pieces
}

func (b *buffers) write(w io.Writer, t Tensor) error {
	data := t.Data
	switch {
	case t.Raw != nil:
		_, err := w.Write(t.Raw)
		return err
	case t.Copy != nil:
		c := &counter{Writer: w}
		b.piled.Reset(c)
		if err := errors.Join(t.Copy(&b.piled), b.piled.Flush()); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if want := int64(t.info().Bytes()); c.n != want {
			return fmt.Errorf("tensor %q: its source gave %d bytes, not %d", t.Name, c.n, want)
		}
		return nil
	case t.Load != nil:
		n := t.info().Elements()
		if cap(b.floats) < n {
			b.floats = make([]float32, n)
		}
		data = b.floats[:n]
		if err := t.Load(data); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
	}
	return writeFloats(w, t, data, b.bytes)
}

// counter counts what is written through it.
type counter struct {
	io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += int64(n)
	return n, err
}

func writeFloats(w io.Writer, t Tensor, data []float32, buf []byte) error {
	size := t.DType.Size()
	for len(data) > 0 {
		n := min(len(data), len(buf)/size)
		if bad := fromFloat32(buf, data[:n], t.DType); bad >= 0 {
			return fmt.Errorf("tensor %q: %g does not fit %s: store it as F32", t.Name, data[bad], t.DType)
		}
		if _, err := w.Write(buf[:n*size]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// encodeHeader checks every tensor and lays them out in the order given.
func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	b := append(make([]byte, 8), '{')
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("metadata %q is not UTF-8", k)
			}
		}
		m, err := json.Marshal(metadata) // sorts the keys
		if err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		b = fmt.Appendf(b, `"%s":%s,`, metadataKey, m)
	}
	at := 0
	names := map[string]bool{metadataKey: true}
	for _, t := range tensors {
		if names[t.Name] || t.Name == "" || !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("tensor name %q is taken or impossible", t.Name)
		}
		names[t.Name] = true
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		n := t.info().Bytes()
		if at+n < at {
			return nil, errors.New("the tensors together overflow")
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		shape := strings.ReplaceAll(fmt.Sprint(append([]int{}, t.Shape...)), " ", ",")
		b = fmt.Appendf(b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]},`, name, t.DType, shape, at, at+n)
		at += n
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ') // the data begins aligned
	}
	if len(b)-8 > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes is more than readers accept", len(b)-8)
	}
	le.PutUint64(b, uint64(len(b)-8))
	return b, nil
}

func (t Tensor) check() error {
	if !t.DType.valid() {
		return fmt.Errorf("%s is no element type", t.DType)
	}
	if err := checkShape(t.Shape, t.DType); err != nil {
		return err
	}
	given := 0
	for _, is := range []bool{t.Data != nil, t.Load != nil, t.Copy != nil, t.Raw != nil} {
		if is {
			given++
		}
	}
	n := t.info().Elements()
	switch {
	case given == 0 && n == 0:
		return nil
	case given != 1:
		return fmt.Errorf("%d of Data, Load, Copy and Raw are set, not one", given)
	case t.Raw != nil && len(t.Raw) != t.info().Bytes():
		return fmt.Errorf("%s %v needs %d bytes, not %d", t.DType, t.Shape, t.info().Bytes(), len(t.Raw))
	case t.Data != nil && len(t.Data) != n:
		return fmt.Errorf("shape %v needs %d numbers, not %d", t.Shape, n, len(t.Data))
	case t.Raw == nil && t.Copy == nil && !t.DType.Float():
		return fmt.Errorf("%s is not floating point: give it as Raw or Copy", t.DType)
	}
	return nil
}

// syncDir makes the rename itself survive a power cut. Some file systems have
// nothing to sync in a folder and say so by EINVAL.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return errors.Join(err, d.Close())
	}
	return d.Close()
}
