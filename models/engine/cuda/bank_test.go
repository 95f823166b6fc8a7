package cuda

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// side is where the kernels' struct Side puts the numbers of a slice: the byte of
// a row or column r at a depth k is of[r*depth+k].
type side struct {
	tile          tile
	deep          bool
	length, depth int
	size          int // of a number
	of            []int
}

// sides asks the kernels' own source, compiled for the host.
func sides(t *testing.T) (all []side) {
	t.Helper()
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("g++ is missing (apt install g++)")
	}
	var b strings.Builder
	b.WriteString("#include \"shim.h\"\n" + part("common") + part("tile") + `
template <class S> void tell(int depth) {
	for (int r = 0; r < S::LENGTH; r++) for (int k = 0; k < depth; k++) printf("%d\n", S::of(r, k));
}
int main() {
`)
	for _, t := range tiles {
		for _, length := range []int{t.rows, t.cols} {
			for _, deep := range []bool{true, false} {
				fmt.Fprintf(&b, "tell<Side<%s, %v, %d>>(%d);\n", t.code(), deep, length, t.depth)
				s := side{tile: t, deep: deep, length: length, depth: t.depth, size: 4}
				if t.kind == kindBF16 || t.kind == kindHalf {
					s.size = 2
				}
				all = append(all, s)
			}
		}
	}
	b.WriteString("}\n")
	fake, err := filepath.Abs("testdata/fake")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "sides")
	if err := os.WriteFile(program+".cpp", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("g++", "-std=c++14", "-w", "-I"+fake, "-o", program, program+".cpp").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for i := range all {
		all[i].of = make([]int, all[i].length*all[i].depth)
		for k := range all[i].of {
			lines.Scan()
			if _, err := fmt.Sscan(lines.Text(), &all[i].of[k]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// at is the byte of a number along a line.
func (s side) at(line, e int) int {
	if s.deep {
		return s.of[line*s.depth+e]
	}
	return s.of[e*s.depth+line]
}

// apart says whether bytes, read or written at once, width of them at each, lie in
// different banks: 32 of four bytes.
func apart(width int, at ...int) bool {
	met := map[int]bool{}
	for _, a := range at {
		met[a%128/width] = true
	}
	return len(met) == len(at)
}

// TestBanks: in every tile, each number has a place of its own, and what the
// threads of a warp copy, hand to ldmatrix or read at once lies in different banks.
func TestBanks(t *testing.T) {
	for _, s := range sides(t) {
		name := fmt.Sprintf("%s, %d %v", s.tile, s.length, s.deep)
		seen := map[int]bool{}
		for _, at := range s.of {
			if at%s.size == 0 && at >= 0 && at < len(s.of)*s.size {
				seen[at] = true
			}
		}
		if len(seen) != len(s.of) {
			t.Errorf("%s: %d places for %d numbers", name, len(seen), len(s.of))
		}
		lines, line, unit := s.depth, s.length, 16/s.size
		if s.deep {
			lines, line = s.length, s.depth
		}
		for u := 0; u < lines*line/unit; u += 8 { // eight threads copy a unit each
			var at []int
			for i := u; i < u+8; i++ {
				at = append(at, s.at(i*unit/line, i*unit%line))
			}
			if !apart(16, at...) {
				t.Fatalf("%s: copies of units from %d on share banks", name, u)
			}
		}
		for l := 0; l < lines; l += 8 { // eight lines at one unit, by ldmatrix or as float4
			for e := 0; e < line && (s.deep || s.size == 2); e += unit {
				var at []int
				for i := range 8 {
					at = append(at, s.at(l+i, e))
				}
				if !apart(16, at...) {
					t.Fatalf("%s: lines from %d on share banks at %d", name, l, e)
				}
			}
		}
		if !s.deep && s.size == 4 {
			singles(t, name, s, lines, line)
		}
	}
}

// singles are numbers read one by one: eight of four lines, in f32 sixteen of one.
func singles(t *testing.T, name string, s side, lines, line int) {
	for k := 0; k < lines; k += 4 {
		for r := 0; r < line; r += 8 {
			var at []int
			for lane := range 32 {
				at = append(at, s.at(k+lane%4, r+lane/4))
			}
			if !apart(4, at...) {
				t.Fatalf("%s: numbers from %d of lines from %d on share banks", name, r, k)
			}
		}
		for r := 0; r < line; r += 16 {
			var at []int
			for i := range 16 {
				at = append(at, s.at(k, r+i))
			}
			if !apart(4, at...) {
				t.Fatalf("%s: numbers from %d of line %d share banks", name, r, k)
			}
		}
	}
}
