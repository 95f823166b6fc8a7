package train

import (
	"fmt"
	"os"
)

// store keeps numbered byte slices: in memory while together they fit limit,
// in one unlinked temporary file from then on. Reading is safe from several
// goroutines once nothing is added any more.
type store struct {
	limit int64
	dir   string // of the temporary file; the system's where empty

	size  int64
	blobs []blob
	file  *os.File // nil while everything is in memory
}

// blob is one slice, at off in the file or in mem.
type blob struct {
	mem []byte
	off int64
	n   int
}

// add stores a copy of b and returns its number.
func (s *store) add(b []byte) (int, error) {
	if s.file == nil && s.size+int64(len(b)) > s.limit {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	next := blob{off: s.size, n: len(b)}
	if s.file == nil {
		next.mem = append([]byte(nil), b...)
	} else if _, err := s.file.WriteAt(b, s.size); err != nil {
		return 0, fmt.Errorf("spool to a temporary file: %w", err)
	}
	s.size += int64(len(b))
	s.blobs = append(s.blobs, next)
	return len(s.blobs) - 1, nil
}

// spill moves what is in memory to the file. The file has no name, so that it
// goes with the process, however that ends.
func (s *store) spill() error {
	file, err := os.CreateTemp(s.dir, "v2v-spool-*")
	if err != nil {
		return fmt.Errorf("spool to a temporary file: %w", err)
	}
	s.file = file
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("spool to a temporary file: %w", err)
	}
	for i, b := range s.blobs {
		if _, err := file.WriteAt(b.mem, b.off); err != nil {
			return fmt.Errorf("spool to a temporary file: %w", err)
		}
		s.blobs[i].mem = nil
	}
	return nil
}

// get returns slice i. It must not be changed; buf, grown as needed, is what
// it lies in where it had to be read.
func (s *store) get(i int, buf []byte) ([]byte, error) {
	b := s.blobs[i]
	if b.mem != nil || b.n == 0 {
		return b.mem, nil
	}
	if cap(buf) < b.n {
		buf = make([]byte, b.n)
	}
	buf = buf[:b.n]
	if _, err := s.file.ReadAt(buf, b.off); err != nil {
		return nil, fmt.Errorf("read the spooled data: %w", err)
	}
	return buf, nil
}

// drop forgets everything.
func (s *store) drop() error {
	s.blobs, s.size = nil, 0
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
