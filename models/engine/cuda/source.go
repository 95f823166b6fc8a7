package cuda

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed kernels/*.cu
var files embed.FS

// Source is the kernels that every card has as CUDA C, in one text; cards get
// them in units.
func Source() string { return part("card") + kernels(false) }

// Kernels is all kernels, without what only a card has before them.
func Kernels() string { return kernels(true) }

func kernels(all bool) string {
	text, there := parts(baseParts...), map[string]bool{"tile": true, "product": true, "conv": true}
	for _, k := range kinds {
		if !all && k.only != 0 {
			continue
		}
		for _, name := range k.parts {
			if !there[name] {
				text += part(name)
			}
			there[name] = true
		}
		text += tileSource(k.kind, forward) + tileSource(k.kind, gradient)
	}
	return text
}

func part(name string) string {
	text, err := files.ReadFile("kernels/" + name + ".cu")
	if err != nil {
		panic(fmt.Sprintf("embedded %v", err)) // the build put it there
	}
	return string(text)
}

func parts(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(part(name))
	}
	return b.String()
}

// baseParts is what every program may need: all but the tiles.
var baseParts = []string{"common", "elem", "tile", "product", "conv", "arrange", "wino", "norm", "normgrad", "plane", "shape", "loss", "picture"}

// kinds of numbers have kernels of their own for each of their tiles; parts is
// what those need besides common.cu. Where only is a capability, they use its own
// instructions, and no other card has them.
var kinds = []struct {
	kind  string
	parts []string
	only  int
}{
	{kindF32, tileParts, 0}, {kindTF32, tileParts, 0}, {kindBF16, tileParts, 0}, {kindHalf, tileParts, 0},
	{kindBulk, bulkParts, hopper}, {kindBulk32, bulkParts, hopper}, {kindBulkFilters, bulkParts, hopper},
}

var tileParts, bulkParts = []string{"tile", "product", "conv"}, []string{"bulk", "bulk_filters"}

// hopper is the capability whose cards have wgmma and bulk copies of tensors.
const hopper = 90

// unit is a part of the kernels that is compiled by itself, when a program first
// wants one of them: compiling all tiles of all kinds takes a card's compiler
// half a minute.
type unit struct {
	name, text string
	kernels    []string
	only       int // the capability that alone has it; 0 is all
}

// arch is what a unit is compiled for: where it is for one capability only, with
// that one's own instructions.
func (u *unit) arch(capability int) string {
	if u.only != 0 {
		return fmt.Sprintf("sm_%da", capability)
	}
	return fmt.Sprintf("sm_%d", capability)
}

func (u *unit) serves(capability int) bool { return u.only == 0 || u.only == capability }

// kernelName finds the kernels of a text.
var kernelName = regexp.MustCompile(`(?m)^KERNEL (?:__\w+__\([^)]*\) )*(\w+)\(`)

// units lists them, the one that every program needs first: in the others a tile
// convolves forward and backward, or makes gradients of filters, which programs
// that learn nothing do not want.
var units = sync.OnceValue(func() []*unit {
	all := []*unit{{name: "base", text: part("card") + parts(baseParts...)}}
	for _, k := range kinds {
		for _, t := range everyTile {
			if t.kind != k.kind {
				continue
			}
			before := part("card") + part("common")
			if k.only == hopper {
				before += part("bulk_card") + t.wgmma()
			}
			for i, text := range []string{t.source(forward), t.source(gradient)} {
				if text != "" {
					all = append(all, &unit{name: t.String() + []string{"", "_weights"}[i], text: before + parts(k.parts...) + text, only: k.only})
				}
			}
		}
	}
	for _, u := range all {
		for _, m := range kernelName.FindAllStringSubmatch(u.text, -1) {
			u.kernels = append(u.kernels, m[1])
		}
	}
	return all
})

// unitOf is where each kernel is.
var unitOf = sync.OnceValue(func() map[string]*unit {
	of := map[string]*unit{}
	for _, u := range units() {
		for _, name := range u.kernels {
			if of[name] == nil {
				of[name] = u
			}
		}
	}
	return of
})

// sourceHash tells versions of the kernels apart.
var sourceHash = sync.OnceValue(func() string {
	h := sha256.New()
	for _, u := range units() {
		fmt.Fprintf(h, "%s\n%s\n", u.name, u.text)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
})
