package video

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxName is the longest file name that common file systems take, in bytes.
const maxName = 255

// PartPath makes up the hidden name under which the file final grows in the
// folder dir until Publish: ".<name>.<random>.part<ext>". An empty dir is
// final's own folder. Names near the limit of the file system are shortened.
func PartPath(dir, final string) string {
	if dir == "" {
		dir = filepath.Dir(final)
	}
	var salt [6]byte
	rand.Read(salt[:]) // never fails, see crypto/rand
	tail := "." + hex.EncodeToString(salt[:]) + ".part" + filepath.Ext(final)
	name := filepath.Base(final)
	for len(name)+len(tail)+1 > maxName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return filepath.Join(dir, "."+name+tail)
}

// IsPart reports whether a file or folder name is one that an unfinished
// Writer of this project leaves when its process is killed.
func IsPart(name string) bool {
	if strings.HasPrefix(name, partFolder) {
		return true
	}
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	return strings.HasPrefix(name, ".") && (strings.HasSuffix(stem, ".part") || strings.HasSuffix(name, ".part"))
}

// Publish makes the finished file part durable and gives it its final name in
// one step. Without overwrite it refuses to replace a file that has appeared
// there, and the part file stays.
func Publish(part, final string, overwrite bool) error {
	if err := syncPath(part); err != nil {
		return fmt.Errorf("publish %q: %w", final, err)
	}
	if err := move(part, final, overwrite); err != nil {
		return fmt.Errorf("publish %q: %w", final, err)
	}
	if err := syncPath(filepath.Dir(final)); err != nil {
		return fmt.Errorf("publish %q: %w", final, err)
	}
	return nil
}

// move renames; without overwrite a hard link is what fails atomically where
// the name is taken. File systems that know no hard links are asked first.
func move(part, final string, overwrite bool) error {
	if overwrite {
		return os.Rename(part, final)
	}
	err := os.Link(part, final)
	if err == nil {
		return os.Remove(part)
	}
	if errors.Is(err, fs.ErrExist) {
		return errExists
	}
	if _, err := os.Lstat(final); err == nil {
		return errExists
	}
	return os.Rename(part, final)
}

var errExists = fmt.Errorf("%w: allow overwriting to replace it", fs.ErrExist)

// syncPath flushes a file or a folder to the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
