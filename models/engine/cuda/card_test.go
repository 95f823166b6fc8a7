//go:build cgo && linux

package cuda_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn is a test binary of which one section fails, one dies and one hangs.
const standIn = `#!/bin/sh
case "$*" in
*TestCardUnits*) echo '1 units in 2.0 s' ;;
*TestBulk*) echo '--- FAIL: TestBulkStep'; echo 'a secret'; exit 1 ;;
*TestTileOperators*) kill -SEGV $$ ;;
*Golden*) trap '' TERM; sleep 100 ;;
*TestTableOfConvolutions*) echo 'of rate' ;;
*TestTable*) echo "$V2V_CUDA_SECONDS s"; echo 'the table' >"$OUT/table.txt" ;;
*) echo 'no such tests'; exit 2 ;;
esac
`

// TestCardScript: what a person runs on a card's machine goes on behind what fails,
// and says what became of each section.
func TestCardScript(t *testing.T) {
	dir := t.TempDir()
	binary, script := filepath.Join(dir, "cuda.test"), filepath.Join(dir, "card.sh")
	text, err := os.ReadFile("testdata/card.sh")
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.Replace(string(text), `"networks and steps" 60`, `"networks and steps" 5`, 1)
	quick = strings.Replace(quick, `cd "$(dirname "$0")/.."`, "cd "+dir, 1)
	quick = strings.Replace(quick, `limit + 3`, `limit - 4`, 1)
	quick = strings.Replace(quick, `-k 3`, `-k 1`, 1)
	for path, text := range map[string]string{binary: standIn, script: quick} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("bash", script, "300")
	c.Env = append(os.Environ(), "CUDA_TEST="+binary, "OUT="+dir, "V2V_CUDA_TEST=")
	out, err := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d, %v", code, err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	s := string(out)
	for _, want := range []string{"1 units in 2.0 s\n", "--- FAIL: TestBulkStep\n", "takes every unit: passed in ", "Hopper's kernels: failed (1) ", "own kernels: failed (139) ",
		"networks and steps: failed (137) ", "table: passed in ", "convolutions: passed in ", "of rate\n", "quickest ways: failed (2) ", "the table\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("want %q in\n%s", want, s)
		}
	}
	if hidden := "a secret\n"; strings.Contains(s, hidden) || !strings.Contains(string(log), hidden) {
		t.Errorf("what a passing line says belongs to the log alone:\n%s\nlog:\n%s", s, log)
	}
	if strings.Index(s, "the table\n") < strings.Index(s, "== sections") {
		t.Errorf("the table is not at the end:\n%s", s)
	}
}
