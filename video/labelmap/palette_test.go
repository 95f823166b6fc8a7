package labelmap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePalette(t *testing.T) {
	road, car := Entry{7, 128, 64, 128, "road"}, Entry{26, 0, 0, 142, "car"}
	for _, c := range []struct {
		name, text string
		want       []Entry
		notes      []string
	}{
		{"plain", "7 128 64 128 road\n26 0 0 142 car\n", []Entry{road, car}, nil},
		{"no names, comments, Windows", "\ufeff# labels\r\n\r\n7 128 64 128\r\n  # cars\r\n26\t0 0 142", []Entry{{7, 128, 64, 128, ""}, {26, 0, 0, 142, ""}}, nil},
		{"commas, a name of two words", "7,128,64,128,my road\n", []Entry{{7, 128, 64, 128, "my road"}}, nil},
		{"two colours for one label", "1 9 9 9\n1 8 8 8\n", []Entry{{1, 9, 9, 9, ""}, {1, 8, 8, 8, ""}}, nil},
		{"a line twice", "1 9 9 9\n1 9 9 9\n", []Entry{{1, 9, 9, 9, ""}}, nil},
		{"one colour for two labels", "0 0 0 0 unlabeled\n1 0 0 0 ego vehicle\n", []Entry{{0, 0, 0, 0, "unlabeled"}},
			[]string{"colour 0 0 0 is of label 0 (unlabeled) and of label 1 (ego vehicle): it is read as 0"}},
		{"Cityscapes", "name,id,trainId,category,color\nroad, 7, 0, flat, \"(128, 64,128)\"\n# people\n\ncar,26,13,vehicle,#00008e\nlicense plate,-1,-1,vehicle,\"(  0,  0,142)\"\n",
			[]Entry{road, car}, []string{"label -1 (license plate) is left out: ids begin at 0"}},
		{"columns of numbers", "ID,Red,Green,Blue,Label\n7,128,64,128,road\n", []Entry{road}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePalette([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&Palette{c.want, c.notes}, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "it has no line"},
		{"comments only", "# 1 2 3 4\n", "it has no line"},
		{"three numbers", "1 2 3\n", `line 1: "1 2 3": want "id r g b [name]"`},
		{"a level too high", "1 2 3 4\n\n2 3 256 4\n", `line 3: "2 3 256 4": "256" is no number from 0 to 255`},
		{"an id too high", "256 2 3 4\n", `"256" is no number`},
		{"negative", "-1 2 3 4\n", `"-1" is no number`},
		{"the name first", "road 128 64 128 7\n", `"road" is no number`},
		{"a header without colours", "name,id\nroad,7\n", "names no columns r, g and b, and none color"},
		{"a short row", "id,r,g,b\n1,2,3,4\n\n2,3\n", "line 4 has 2 columns, the header 4"},
		{"a row with words", "id,r,g,b\n1,2,3,x\n", `line 2: "x" is no number`},
		{"an unquoted colour", "id,color\n1,(1,2,3)\n", "needs quotes"},
		{"no colour", "id,color\n1,blue\n", `line 2: "blue" is no colour`},
		{"half a colour", "id,color\n1,#12345g\n", `line 2: "#12345g" is no colour`},
		{"a header alone", "id,r,g,b\n", "it has no line"},
		{"an open quote", "id,color\n1,\"(1,2,3)\n", "not a palette"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParsePalette([]byte(c.text)); !errors.Is(err, ErrPalette) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestReadPaletteNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "city.txt")
	if _, err := ReadPalette(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPalette(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not name the file", err)
	}
}

func FuzzParsePalette(f *testing.F) {
	f.Add([]byte("7 128 64 128 road\n"))
	f.Add([]byte("name,id,color\nroad,7,\"(1, 2,3)\"\n"))
	f.Add([]byte("id,r,g,b\n-1,2,3,4\n5,6,7,8\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePalette(b)
		if err != nil {
			return
		}
		var text strings.Builder
		seen := map[[3]byte]bool{}
		for _, e := range p.Entries {
			if seen[[3]byte{e.R, e.G, e.B}] {
				t.Fatalf("colour %v is there twice", e)
			}
			seen[[3]byte{e.R, e.G, e.B}] = true
			fmt.Fprintln(&text, e.ID, e.R, e.G, e.B)
		}
		again, err := ParsePalette([]byte(text.String()))
		if err != nil || len(again.Entries) != len(p.Entries) {
			t.Fatalf("written and read again: %d of %d entries, %v", len(again.Entries), len(p.Entries), err)
		}
	})
}
