package video

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPartPath(t *testing.T) {
	tests := []struct{ dir, final, wantDir, wantExt string }{
		{"", "a/out.mp4", "a", ".mp4"},
		{"tmp", "a/out.mkv", "tmp", ".mkv"},
		{"", "clip", ".", ""},
		{"", "/x/" + strings.Repeat("ä", 125) + ".webm", "/x", ".webm"},
		{"", "-o.mp4", ".", ".mp4"},
	}
	for _, tt := range tests {
		p := PartPath(tt.dir, tt.final)
		base := filepath.Base(p)
		if filepath.Dir(p) != tt.wantDir || filepath.Ext(p) != tt.wantExt && tt.wantExt != "" {
			t.Errorf("%q: part %q", tt.final, p)
		}
		if !IsPart(base) || len(base) > maxName || !utf8.ValidString(base) {
			t.Errorf("%q: bad name %q of %d bytes", tt.final, base, len(base))
		}
		if p == PartPath(tt.dir, tt.final) {
			t.Errorf("%q: the name is not random", tt.final)
		}
	}
	for _, name := range []string{"out.mp4", ".hidden.mp4", "a.part.mp4", "000000.png"} {
		if IsPart(name) {
			t.Errorf("%q taken for a part file", name)
		}
	}
}

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	part, final := filepath.Join(dir, "p"), filepath.Join(dir, "f")
	put := func(s string) {
		t.Helper()
		if err := os.WriteFile(part, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	if err := Publish(part, final, false); err != nil {
		t.Fatal(err)
	}
	put("two")
	if err := Publish(part, final, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("replaced unasked: %v", err)
	}
	onlyEntries(t, dir, "f", "p")
	if err := Publish(part, final, true); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(final)
	if err != nil || string(b) != "two" {
		t.Errorf("final holds %q, %v", b, err)
	}
	onlyEntries(t, dir, "f")
	if err := Publish(part, final, true); err == nil {
		t.Error("published a missing file")
	}
}
