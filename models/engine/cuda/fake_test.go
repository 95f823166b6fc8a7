//go:build cgo

package cuda_test

import (
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/v2v/v2v/models/engine/cuda"
)

// TestMain builds the fake driver, whose kernels are this package's own sources
// compiled for the host, and has every test find it. With V2V_CUDA_TEST=card
// the tests that compare run on the machine's card instead (make test-cuda).
func TestMain(m *testing.M) { os.Exit(run(m)) }

// onCard says that a card computes, not the fake.
var onCard = os.Getenv("V2V_CUDA_TEST") == "card" || os.Getenv("V2V_CUDA_TEST") == "units"

// fakeMissing is why there is no fake driver, or empty.
var fakeMissing string

func run(m *testing.M) int {
	switch os.Getenv("V2V_CUDA_TEST") {
	case "genuine", "units": // a test's child that asks NVIDIA's own driver; TestCardUnits, whose card may take no unit
		return m.Run()
	}
	if os.Getenv("V2V_CUDA_ROW") != "" { // a table's child, which finds what its parent finds
		if !onCard {
			cuda.Force("")
		}
		return m.Run()
	}
	if onCard {
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, "no card to test on:", err)
			return 1
		}
		if err := d.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	} else {
		dir, err := os.MkdirTemp("", "v2v-fake-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if _, err := exec.LookPath("g++"); err != nil {
			fakeMissing = "g++ is missing (apt install g++), which builds the fake driver"
		} else if err := buildFake(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Setenv("V2V_CUDA_PATH", dir)
		os.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
		cuda.Force("")
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// kernelsOnHost is the kernels as a C++ file of the fake.
func kernelsOnHost() string {
	var b strings.Builder
	b.WriteString("#include \"shim.h\"\n#line 1 \"kernels.cu\"\n" + cuda.Kernels() + "\nconst Entry entries[] = {\n")
	seen := map[string]bool{}
	for _, u := range cuda.Units(fakeCapability) {
		for _, name := range u.Kernels {
			if !seen[name] {
				fmt.Fprintf(&b, "ENTRY(%s),\n", name)
			}
			seen[name] = true
		}
	}
	b.WriteString("{0, 0, 0, 0, 0}};\n")
	return b.String()
}

// fakeCapability is that of the fake driver's cards.
const fakeCapability = 90

// unitsOnHost tells the fake compiler which texts it may be given.
func unitsOnHost() string {
	var b strings.Builder
	b.WriteString("struct Unit { unsigned long long hash; const char *arch, *names; };\nextern const Unit units[];\nconst Unit units[] = {\n")
	for _, capability := range []int{80, fakeCapability, 100} { // faults have cards be others
		for _, u := range cuda.Units(capability) {
			h := fnv.New64a()
			h.Write([]byte(u.Text))
			fmt.Fprintf(&b, "{%dull, %q, %q},\n", h.Sum64(), u.Arch, "\n"+strings.Join(u.Kernels, "\n")+"\n")
		}
	}
	b.WriteString("{0, 0, 0}};\n")
	return b.String()
}

// buildFake compiles the fake driver and its compiler.
func buildFake(dir string) error {
	fake, err := filepath.Abs("testdata/fake")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"kernels.cpp": kernelsOnHost(), "units.cpp": unitsOnHost()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for library, sources := range map[string][]string{
		"libcuda.so.1":   append([]string{"kernels.cpp"}, driverSources(fake)...),
		"libnvrtc.so.12": {"units.cpp", fake + "/nvrtc.cpp"},
	} {
		args := append([]string{"-std=c++14", "-O2", "-fno-strict-aliasing", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-psabi",
			"-fsanitize=alignment", "-fsanitize-undefined-trap-on-error", // as a card faults
			"-fPIC", "-shared", "-I" + fake, "-o", library}, sources...)
		if err := compileFake(dir, library, args); err != nil {
			return err
		}
	}
	// Optional libraries have folders of their own, which tests name that want
	// them.
	for library, source := range map[string]string{"cudnn/libcudnn.so.9": "/cudnn.cpp", "cublaslt/libcublasLt.so.12": "/cublaslt.cpp"} {
		if err := os.Mkdir(filepath.Join(dir, filepath.Dir(library)), 0o755); err != nil {
			return err
		}
		err := compileFake(dir, library, []string{"-std=c++14", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
			"-DDRIVER=\"" + dir + "/libcuda.so.1\"", "-o", library, fake + source, "-ldl"})
		if err != nil {
			return err
		}
	}
	return nil
}

// driverSources is the fake driver but for the kernels.
func driverSources(fake string) (paths []string) {
	for _, name := range []string{"run", "barrier", "tensormap", "wgmma", "driver"} {
		paths = append(paths, filepath.Join(fake, name+".cpp"))
	}
	return paths
}

func compileFake(dir, library string, args []string) error {
	c := exec.Command("g++", args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build the fake %s: %w\n%s", library, err, out)
	}
	return nil
}

// needFake skips a test that the fake driver alone can run.
func needFake(t *testing.T) {
	t.Helper()
	if onCard {
		t.Skip("the fake driver is missing: this run has the card's")
	}
	if fakeMissing != "" {
		t.Skip(fakeMissing)
	}
}
