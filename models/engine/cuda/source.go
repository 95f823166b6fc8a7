package cuda

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed kernels/*.cu
var files embed.FS

// Source is the kernels as CUDA C, as a compiler for cards gets them.
func Source() string { return part("card") + Kernels() }

// Kernels is the part of Source that does not depend on a card.
func Kernels() string {
	var b strings.Builder
	for _, name := range []string{"common", "elem", "tile", "conv", "arrange", "norm", "plane", "shape", "loss", "picture"} {
		b.WriteString(part(name))
	}
	b.WriteString(tileSource())
	return b.String()
}

func part(name string) string {
	text, err := files.ReadFile("kernels/" + name + ".cu")
	if err != nil {
		panic(fmt.Sprintf("embedded %v", err)) // the build put it there
	}
	return string(text)
}

// HopperKernels is the part of Hopper's kernels that does not depend on a card.
func HopperKernels() string { return part("bulk") + part("bulk_filters") + bulkSource() }
