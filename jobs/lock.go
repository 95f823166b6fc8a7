package jobs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// ErrLocked is wrapped where another run works on the same output folder.
var ErrLocked = errors.New("locked by another run")

// state is the .v2v folder of an output folder, held by this run alone.
type state struct {
	outDir string
	lock   *flock.Flock
}

// openState locks the output folder, making it where it is missing, and clears
// away what a killed run has left. The lock is the kernel's: it ends with the
// process, however that ends.
func openState(outDir string) (*state, error) {
	dir := filepath.Join(outDir, stateDir)
	for _, d := range []string{dir, filepath.Join(dir, "clips")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("prepare output folder: %w", err)
		}
	}
	file := filepath.Join(dir, "lock")
	s := &state{outDir: outDir, lock: flock.New(file)}
	ok, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock output folder %s: %w", outDir, err)
	}
	if !ok {
		return nil, fmt.Errorf("output folder %s%s: %w: wait for it or give another folder", outDir, holder(file), ErrLocked)
	}
	err = os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	if err == nil {
		err = os.RemoveAll(s.parts())
	}
	if err == nil {
		err = os.Mkdir(s.parts(), 0o755)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare output folder: %w", err), s.lock.Unlock())
	}
	return s, nil
}

// holder names the process that wrote the lock file, where it can be told.
func holder(file string) string {
	data, err := os.ReadFile(file)
	pid, aerr := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || aerr != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// parts is where unfinished files live; nothing there outlives a run.
func (s *state) parts() string { return filepath.Join(s.outDir, stateDir, "parts") }

// prune removes the folders above an output that was not made, where they are
// empty.
func (s *state) prune(rel string) {
	for dir := path.Dir(rel); dir != "."; dir = path.Dir(dir) {
		if os.Remove(filepath.Join(s.outDir, filepath.FromSlash(dir))) != nil {
			return
		}
	}
}

// close clears the unfinished files and gives the folder free.
func (s *state) close() error {
	return errors.Join(os.RemoveAll(s.parts()), s.lock.Unlock())
}
