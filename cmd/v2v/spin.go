//go:build cgo && linux

package main

import (
	"os"
	"slices"
	"syscall"
)

// calmThreads makes OpenMP's idle threads sleep soon instead of spinning for
// milliseconds: a thread that spins takes the processor from the one that it
// waits for as soon as anything else runs on the machine. (Measured with two
// busy neighbours on two cores: eight times the frames a second; on an idle
// machine no difference.) libgomp reads its environment when it is loaded, so
// the program starts itself once more with it set, if the command is one that
// computes: a start costs a quarter of a second, OpenCV's libraries are many.
func calmThreads() {
	computes := func(arg string) bool { return slices.Contains([]string{"convert", "batch", "train", "bench"}, arg) }
	if !slices.ContainsFunc(os.Args[1:], computes) {
		return
	}
	for _, name := range []string{"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} {
		if _, set := os.LookupEnv(name); set {
			return
		}
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	// About a hundred microseconds: longer than the way from one kernel to the
	// next, and than most waits for the other threads at the end of a kernel.
	// On failure the program goes on as it is, only less calm.
	_ = syscall.Exec(self, os.Args, append(os.Environ(), "GOMP_SPINCOUNT=12000"))
}
