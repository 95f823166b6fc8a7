//go:build cgo

package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instructions is what the machine code of tiles of each kind has in every kernel
// (HMMA are the matrix units of a warp, HGMMA of four; LDSM is ldmatrix, LDGSTS
// cp.async, UTMALDG a load by a tensor map), and what it has in none.
var instructions = map[string]struct{ all, convolving, none []string }{
	kindF32:  {all: []string{"FFMA", "LDGSTS.E [", "LDGSTS.E.BYPASS.128 ["}, none: []string{" HMMA"}},
	kindTF32: {all: []string{"HMMA.1688.F32.TF32", "LDGSTS.E [", "LDGSTS.E.BYPASS.128 ["}, convolving: []string{"LDSM.16.M88.4"}},
	kindBF16: {all: []string{"HMMA.16816.F32.BF16", "LDSM.16", "F2FP.BF16"}, convolving: []string{"LDGSTS.E.BYPASS.128 ["}}, // filters that lie in two bytes are copied
	kindHalf: {all: []string{"HMMA.16816.F32.BF16", "LDSM.16.M88.4", "LDGSTS.E.BYPASS.128 ["}},

	kindBulk:        {all: []string{"HGMMA.64x", "x16.F32.BF16", "UTMALDG.5D"}, none: []string{" HMMA", "LDGSTS"}},
	kindBulk32:      {all: []string{"HGMMA.64x", "x8.F32.TF32", "UTMALDG.5D"}, none: []string{" HMMA", "LDGSTS"}},
	kindBulkFilters: {all: []string{"HGMMA.64x", "x16.F32.BF16", "UTMALDG.5D"}, none: []string{" HMMA", "LDGSTS"}},
}

var sassFunction = regexp.MustCompile(`(?m)^\s*Function : (\w+)\n`)

// machine disassembles a unit to its kernels' instructions.
func machine(t *testing.T, cuobjdump string, c compiled) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "unit.cubin")
	if err := os.WriteFile(path, c.code, 0o644); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(cuobjdump, "--dump-sass", path)
	run.Env = append(os.Environ(), "PATH="+filepath.Dir(cuobjdump)+":"+os.Getenv("PATH")) // which calls nvdisasm
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := map[string]string{}
	text := string(out)
	at := sassFunction.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		found[text[m[2]:m[3]]] = text[m[1]:end]
	}
	return found
}

// TestMachineCode: in ptxas's machine code the tiles use the instructions that they
// are written for, and none of numbers in a thread's own memory.
func TestMachineCode(t *testing.T) {
	cuobjdump := toolkitProgram(t, "cuobjdump")
	toolkitProgram(t, "nvdisasm")
	for _, c := range compileAll(t) {
		if c.capability != 80 && c.capability != 90 {
			continue // those between have the oldest's instructions
		}
		code := machine(t, cuobjdump, c)
		for _, tile := range everyTile {
			want, ok := instructions[tile.kind]
			if !ok {
				t.Fatalf("which instructions tiles of %s have is not said", tile.kind)
			}
			for _, kernel := range []string{"conv_", "conv_back_", "conv_weights_"} {
				kernel += tile.shape()
				if !slices.Contains(c.kernels, kernel) {
					continue
				}
				need := want.all
				if !strings.HasPrefix(kernel, "conv_weights") {
					need = append(need[:len(need):len(need)], want.convolving...)
				}
				checkInstructions(t, kernel+" for "+c.arch(c.capability), code[kernel], need, want.none, slices.Contains(knownStacks[kernel], c.capability))
			}
		}
	}
}

func checkInstructions(t *testing.T, kernel, code string, need, none []string, stack bool) {
	t.Helper()
	for _, instruction := range need {
		if !strings.Contains(code, instruction) {
			t.Errorf("%s has no %s", kernel, instruction)
		}
	}
	if !stack {
		none = append(none[:len(none):len(none)], " LDL", " STL")
	}
	for _, instruction := range none {
		if strings.Contains(code, instruction) {
			t.Errorf("%s has %s", kernel, instruction)
		}
	}
}
