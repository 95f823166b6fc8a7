//go:build cgo

package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// toolkitFolders is where NVIDIA's real files may be: V2V_CUDA_TOOLKIT names a
// folder of a toolkit's libraries, beside which are its programs and headers.
func toolkitFolders(kind string) (folders []string) {
	libraries := os.Getenv("V2V_CUDA_TOOLKIT")
	switch {
	case libraries == "":
	case kind == "lib":
		folders = []string{libraries, filepath.Join(libraries, "nvidia/current")} // Debian has the driver's there
	default:
		folders = []string{filepath.Join(libraries, "..", kind), filepath.Join(libraries, "../..", kind)}
	}
	return folders
}

// toolkitProgram is the path of a program of the toolkit.
func toolkitProgram(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range toolkitFolders("bin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is missing (Debian non-free: nvidia-cuda-toolkit; make test-nvrtc)")
	}
	return path
}

// genuine opens a real library, which V2V_CUDA_PATH, where the fakes are, does not
// name. It is closed behind the test, for others look for none.
func genuine(t *testing.T, l library, debian string) *api {
	t.Helper()
	a := &api{fn: map[string]unsafe.Pointer{}}
	for _, file := range l.files {
		for _, dir := range append(toolkitFolders("lib"), "") {
			found, err := a.openFile(l, filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if found {
				t.Cleanup(a.close)
				return a
			}
		}
	}
	t.Skipf("%s is missing (Debian non-free: %s; make test-nvrtc)", l.files[len(l.files)-1], debian)
	return nil
}

func genuineNVRTC(t *testing.T) *api {
	t.Helper()
	a := genuine(t, nvrtc, "libnvrtc12")
	var out room
	defer out.free()
	if err := a.call("nvrtcVersion", out.at(0), out.at(1)); err != nil {
		t.Fatal(err)
	}
	a.nvrtc = 1000*int(out.get(0)) + 10*int(out.get(1))
	one := &unit{name: "one", text: "extern \"C\" __global__ void one(int *x) { *x = 1; }\n"}
	code, log, err := a.compile(one, "sm_80")
	if err != nil || !strings.HasPrefix(string(code), "\x7fELF") {
		t.Fatalf("NVRTC %s does not compile a kernel to machine code: %v\n%s", version(a.nvrtc), err, log)
	}
	return a
}

// cards are capabilities that units are compiled for here.
var cards = []int{80, 86, 89, 90}

// compiled is a unit that real NVRTC has been given.
type compiled struct {
	*unit
	capability int
	code       []byte
	log        string
	err        error
	took       time.Duration
}

// compileAll compiles every unit for every card that has it, once for all tests.
var compileAll = func() func(*testing.T) []compiled {
	var once sync.Once
	var all []compiled
	return func(t *testing.T) []compiled {
		t.Helper()
		a := genuineNVRTC(t)
		once.Do(func() {
			for _, capability := range cards {
				for _, u := range units() {
					if u.serves(capability) {
						all = append(all, compiled{unit: u, capability: capability})
					}
				}
			}
			sideBySide(len(all), func(i int) {
				c, begin := &all[i], time.Now()
				c.code, c.log, c.err = a.compile(c.unit, c.arch(c.capability), "--ptxas-options=-v")
				c.took = time.Since(begin)
			})
		})
		return all
	}
}()

// knownWarnings are parts of lines of NVRTC's log that are to be mended where they
// come from.
var knownWarnings = []string{}

// TestNVRTC: real NVRTC takes every unit, for every card that has it, without a
// warning, and its machine code has each of the unit's kernels.
func TestNVRTC(t *testing.T) {
	met := map[string]bool{}
	took := map[int]time.Duration{}
	for _, c := range compileAll(t) {
		name := c.name + " for " + c.arch(c.capability)
		took[c.capability] += c.took
		if c.err != nil || !strings.HasPrefix(string(c.code), "\x7fELF") {
			t.Errorf("%s: %v\n%s", name, c.err, c.log)
			continue
		}
		for line := range strings.Lines(c.log) {
			known := slices.IndexFunc(knownWarnings, func(k string) bool { return strings.Contains(line, k) })
			if known >= 0 {
				met[knownWarnings[known]] = true
			} else if (strings.Contains(line, "warning") || strings.Contains(line, "Performance Loss")) && !strings.HasPrefix(line, "Remark:") {
				t.Errorf("%s: %s", name, line)
			}
		}
		for _, k := range c.kernels {
			if _, ok := resourcesOf(c)[k]; !ok {
				t.Errorf("%s: no kernel %s", name, k)
			}
		}
	}
	for _, k := range knownWarnings {
		if !met[k] {
			t.Errorf("no unit has the warning %q any more: it is no longer to be listed", k)
		}
	}
	t.Logf("seconds of each capability's units: %v", took)
}

// resources is what ptxas says that a kernel takes.
type resources struct{ registers, stack, spilled, shared int }

var (
	ptxasEntry  = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	ptxasStack  = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	ptxasUsed   = regexp.MustCompile(`Used (\d+) registers`)
	ptxasShared = regexp.MustCompile(`(\d+) bytes smem`)
)

// resourcesOf reads a unit's log.
func resourcesOf(c compiled) map[string]resources {
	found := map[string]resources{}
	entries := ptxasEntry.FindAllStringSubmatchIndex(c.log, -1)
	number := func(text string, pattern *regexp.Regexp, group int) int {
		m := pattern.FindStringSubmatch(text)
		if m == nil {
			return 0
		}
		n, err := strconv.Atoi(m[group])
		if err != nil {
			return 0
		}
		return n
	}
	for i, at := range entries {
		end := len(c.log)
		if i+1 < len(entries) {
			end = entries[i+1][0]
		}
		text := c.log[at[1]:end]
		found[c.log[at[2]:at[3]]] = resources{number(text, ptxasUsed, 1), number(text, ptxasStack, 1), number(text, ptxasStack, 2), number(text, ptxasShared, 1)}
	}
	return found
}

// knownStacks are kernels that keep numbers in memory, for which capabilities.
var knownStacks = map[string][]int{}

// TestResources: no kernel keeps what it should have in registers in memory, and
// a card can launch each in blocks of the size that it is launched in. A warp gets
// registers in 256s of a multiprocessor's 65536; every card gives a block 99 KB of
// shared memory, Hopper 227.
func TestResources(t *testing.T) {
	const registers, most, hoppers = 65536, 99 << 10, 227 << 10
	blocks, shared := map[string]int{}, map[string]int{}
	for _, tile := range everyTile {
		for _, kernel := range []string{"conv_", "conv_back_", "conv_weights_"} {
			kernel += tile.shape()
			blocks[kernel], shared[kernel] = tile.threads(), tile.shared()
		}
	}
	for _, c := range compileAll(t) {
		room := most
		if c.only == hopper {
			room = hoppers
		}
		for kernel, r := range resourcesOf(c) {
			where := fmt.Sprintf("%s for %s", kernel, c.arch(c.capability))
			known := slices.Contains(knownStacks[kernel], c.capability)
			if has := r.stack+r.spilled > 0; has != known {
				t.Errorf("%s has %d bytes of stack and spills %d, listed: %v", where, r.stack, r.spilled, known)
			}
			block := blocks[kernel]
			if block == 0 {
				block = threads
			}
			if taken := block / 32 * ceil(32*r.registers, 256) * 256; r.registers == 0 || r.registers > 255 || taken > registers {
				t.Errorf("%s takes %d registers in each of %d threads: %d of %d", where, r.registers, block, taken, registers)
			}
			if taken := r.shared + shared[kernel]; taken > room {
				t.Errorf("%s takes %d bytes of shared memory of %d", where, taken, room)
			}
		}
	}
}
