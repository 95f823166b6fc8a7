package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// sampled is how many bytes at each end of a file go into its fingerprint:
// container headers and indexes live there, so a new encoding shows, and a
// thousand clips are compared in a second or two.
const sampled = 64 << 10

// Fingerprint tells whether a file, or a folder of files, is the one seen
// before.
type Fingerprint struct {
	Files int    `json:"files"`          // 1 for a plain file
	Size  int64  `json:"size"`           // bytes, summed
	Mod   int64  `json:"mod,omitempty"`  // latest modification, Unix nanoseconds; 0 where it does not count
	Ends  string `json:"ends"`           // sha256 over names, sizes and the ends of the content, see take
	Full  string `json:"full,omitempty"` // sha256 over everything, where it was asked for
}

// printer takes fingerprints.
type printer struct {
	full  bool // hash every byte as well
	times bool // modification times count
}

// changed says in what the two fingerprints differ, or "". Where both know
// every byte, times do not matter.
func (was Fingerprint) changed(now Fingerprint) string {
	switch {
	case was.Files != now.Files:
		return fmt.Sprintf("%d files, were %d", now.Files, was.Files)
	case was.Size != now.Size:
		return fmt.Sprintf("%d bytes, were %d", now.Size, was.Size)
	case now.Full != "" && was.Full != "":
		if now.Full != was.Full {
			return "content differs"
		}
		return ""
	case was.Ends != now.Ends:
		return "content differs"
	case was.Mod != now.Mod:
		return "modified " + time.Unix(0, now.Mod).Format(time.DateTime)
	}
	return ""
}

// take fingerprints a file or the plain files that lie directly in a folder.
func (p printer) take(ctx context.Context, path string) (Fingerprint, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Fingerprint{}, err
	}
	var fp Fingerprint
	ends, full := sha256.New(), sha256.New()
	if !fi.IsDir() {
		err = p.add(ctx, &fp, ends, full, path, "")
	} else {
		err = p.folder(ctx, &fp, ends, full, path)
	}
	if err != nil {
		return Fingerprint{}, err
	}
	fp.Ends = hex.EncodeToString(ends.Sum(nil))
	if p.full {
		fp.Full = hex.EncodeToString(full.Sum(nil))
	}
	return fp, nil
}

func (p printer) folder(ctx context.Context, fp *Fingerprint, ends, full hash.Hash, dir string) error {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || hidden(e.Name()) {
			continue
		}
		if err := p.add(ctx, fp, ends, full, filepath.Join(dir, e.Name()), e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// add mixes one file in. Files of a folder come with their name, and their
// content counts only under full: a folder of stills may hold tens of
// thousands of files, and reading the ends of each would read nearly all.
func (p printer) add(ctx context.Context, fp *Fingerprint, ends, full hash.Hash, path, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.IsDir() {
		return fmt.Errorf("read %s: is a folder", path)
	}
	fp.Files++
	fp.Size += fi.Size()
	if p.times {
		fp.Mod = max(fp.Mod, fi.ModTime().UnixNano())
	}
	fmt.Fprintf(ends, "%q %d\n", name, fi.Size())
	fmt.Fprintf(full, "%q %d\n", name, fi.Size())
	if name != "" && p.times {
		fmt.Fprintf(ends, "%d\n", fi.ModTime().UnixNano())
	}
	if p.full {
		if err := hashAll(ctx, full, f); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	if name != "" {
		return nil
	}
	head := io.NewSectionReader(f, 0, sampled)
	tail := io.NewSectionReader(f, max(sampled, fi.Size()-sampled), sampled)
	if _, err := io.Copy(ends, io.MultiReader(head, tail)); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// hashAll reads a file that may be huge, and stops soon after ctx ends.
func hashAll(ctx context.Context, h hash.Hash, f *os.File) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := io.CopyN(h, f, 16<<20)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
