package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sampleSidecar() sidecar {
	print := Fingerprint{Files: 1, Size: 7, Mod: 5, Ends: strings.Repeat("0a", 32), Full: strings.Repeat("ff", 32)}
	return sidecar{Schema: sidecarSchema, Output: "a/b \"ü\"\n.mp4", Input: print, Model: "m", Options: "o", Made: print,
		Result: Result{FramesIn: 3, FramesOut: 3, Damaged: "broke off"}, Written: time.Date(2024, 2, 3, 4, 5, 6, 7, time.UTC)}
}

func TestSidecarRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := sidecarPath(dir, clipID("a"))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	want := sampleSidecar()
	for range 2 { // the second replaces the first
		if err := want.write(path, dir); err != nil {
			t.Fatal(err)
		}
	}
	got := readSidecar(path)
	if got == nil {
		t.Fatal("cannot be read back")
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v is left of the temporary file", entries, err)
	}
}

// TestSidecarTorn cuts a sidecar at every byte, as a power failure might.
func TestSidecarTorn(t *testing.T) {
	whole, err := json.MarshalIndent(sampleSidecar(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if got := readSidecar(path); (got != nil) != (n == len(whole)) {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), got)
		}
	}
}

func TestSidecarRefused(t *testing.T) {
	edit := func(old, new string) string {
		data, err := json.Marshal(sampleSidecar())
		if err != nil || !bytes.Contains(data, []byte(old)) {
			t.Fatalf("no %q in the sample: %v", old, err)
		}
		return strings.ReplaceAll(string(data), old, new)
	}
	for name, text := range map[string]string{
		"other schema":   edit(`"schema":1`, `"schema":2`),
		"no schema":      edit(`"schema":1,`, ``),
		"null":           "null",
		"list":           "[]",
		"two objects":    edit(`"schema"`, `"schema"`) + "{}",
		"short hash":     edit(strings.Repeat("0a", 32), "0a"),
		"no hash":        edit(strings.Repeat("0a", 32), strings.Repeat("zz", 32)),
		"negative size":  edit(`"size":7`, `"size":-7`),
		"no files":       edit(`"files":1`, `"files":0`),
		"number too big": edit(`"size":7`, `"size":1e99`),
		"far too long":   edit(`"model":"m"`, `"model":"`+strings.Repeat("m", sidecarLimit)+`"`),
		"deeply nested":  strings.Repeat(`{"input":`, 20000),
		"a picture":      "\x89PNG\r\n\x1a\n\x00\x00",
	} {
		path := filepath.Join(t.TempDir(), "s")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if readSidecar(path) != nil {
			t.Errorf("%s: taken for a sidecar", name)
		}
	}
	if readSidecar(t.TempDir()) != nil {
		t.Error("a folder was taken for a sidecar")
	}
}

func FuzzSidecar(f *testing.F) {
	data, err := json.Marshal(sampleSidecar())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(`{"schema":1,"input":{"files":1e9}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSidecar(data)
		if err != nil {
			return
		}
		once, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		again, err := parseSidecar(once)
		if err != nil {
			t.Fatalf("encoded, but does not decode: %v\n%s", err, once)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestFingerprint changes a file or folder in every way that must be seen.
func TestFingerprint(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	long := bytes.Repeat([]byte("x"), 3*sampled)
	touch := func(path string) { must(t, os.Chtimes(path, old, old)) }
	write := func(path string, data []byte) { must(t, os.WriteFile(path, data, 0o644)); touch(path) }
	edit := func(at int) func(string) {
		return func(path string) {
			data := bytes.Clone(long)
			data[at] = 'y'
			write(path, data)
		}
	}
	cases := []struct {
		name   string
		file   string // the one edited, below the path printed; "" for the path itself
		edit   func(path string)
		p      printer
		change string
	}{
		{"untouched", "", func(string) {}, printer{times: true}, ""},
		{"first byte", "", edit(0), printer{times: true}, "content differs"},
		{"last byte", "", edit(len(long) - 1), printer{times: true}, "content differs"},
		{"middle byte is not looked at", "", edit(len(long) / 2), printer{times: true}, ""},
		{"middle byte under full", "", edit(len(long) / 2), printer{times: true, full: true}, "content differs"},
		{"longer", "", func(p string) { write(p, append(long, 'x')) }, printer{times: true}, "196609 bytes, were 196608"},
		{"touched", "", func(p string) { must(t, os.Chtimes(p, time.Now(), time.Now())) }, printer{times: true}, "modified "},
		{"touched under full", "", func(p string) { must(t, os.Chtimes(p, time.Now(), time.Now())) }, printer{times: true, full: true}, ""},
		{"touched where times do not count", "", func(p string) { must(t, os.Chtimes(p, time.Now(), time.Now())) }, printer{}, ""},
		{"still touched", "1.png", func(p string) { must(t, os.Chtimes(p, time.Now(), time.Now())) }, printer{times: true}, "content differs"},
		{"still renamed", "1.png", func(p string) { must(t, os.Rename(p, p+".png")) }, printer{times: true}, "content differs"},
		{"still removed", "1.png", func(p string) { must(t, os.Remove(p)) }, printer{times: true}, "1 files, were 2"},
		{"still edited under full", "1.png", edit(1), printer{full: true}, "content differs"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "clip")
			target := path
			if c.file != "" {
				must(t, os.Mkdir(path, 0o755))
				write(filepath.Join(path, "0.png"), long)
				target = filepath.Join(path, c.file)
			}
			write(target, long)
			was, err := c.p.take(context.Background(), path)
			must(t, err)
			c.edit(target)
			now, err := c.p.take(context.Background(), path)
			must(t, err)
			got := was.changed(now)
			if c.change == "" && got != "" || !strings.HasPrefix(got, c.change) {
				t.Errorf("got %q, want %q", got, c.change)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
