package weights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// mapping is a whole file, mapped for reading. Its pages are the page cache's
// own: they cost the process no memory of its own.
type mapping struct {
	data []byte
}

func mapFile(path string) (*mapping, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if st.IsDir() {
		return nil, errors.New("it is a folder, not a file")
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file") // opening a pipe would wait for ever
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	if st, err = f.Stat(); err != nil {
		return nil, cause(err)
	}
	if st.Size() == 0 {
		return nil, errors.New("the file is empty")
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", st.Size(), err)
	}
	return &mapping{data: data}, nil
}

// release gives the pages of data[begin:end] back, so that a process that has
// converted its weights does not count them twice. They stay in the page cache
// and come back when touched.
func (m *mapping) release(begin, end int) error {
	page := os.Getpagesize()
	begin = begin / page * page
	if begin >= end {
		return nil
	}
	return unix.Madvise(m.data[begin:end], unix.MADV_DONTNEED)
}

func (m *mapping) close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	return unix.Munmap(data)
}

// cause drops the operation and the paths of a file error: our callers name the
// path themselves, and a temporary name helps nobody.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}
