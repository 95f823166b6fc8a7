//go:build cgo && linux

package cuda_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/op"
)

// product is a square product of matrices of size n, written as a convolution of
// one tap over what another has made, so that a bf16 program reads two bytes a
// number. Of it the card's rate is taken.
func product(n int) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	high := 1
	for high*high < n {
		high *= 2
	}
	x := b.do(op.Conv{Stride: 1, Pad: 1}, b.leaf("x", 1, 8, high, n/high), b.leaf("w0", n, 8, 3, 3))
	z := b.do(op.Conv{Stride: 1}, x, b.leaf("w1", n, n, 1, 1))
	if b.err != nil {
		return nil, b.err
	}
	return engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }})
}

// convolutionsOf runs a program and times each of its distinct convolutions.
func convolutionsOf(d engine.Device, p *engine.Program, precision engine.Precision, runs int) (found []cuda.Convolution, err error) {
	return found, with(d, p, precision, func(e engine.Executable) (err error) {
		if err := e.Run(); err != nil {
			return err
		}
		found, err = cuda.Convolutions(e, runs)
		return err
	})
}

// tflops is a convolution's rate.
func tflops(c cuda.Convolution) float64 { return float64(c.Work) / float64(c.Ms) / 1e9 }

// convTable writes the card's rate in products of matrices of size n, and what
// each distinct convolution of the rows has of it: the whole time of its kernels
// in a generator's program, by which way, and its part of that program's
// convolutions.
func convTable(out io.Writer, d engine.Device, rows []row, n, runs int) error {
	p, err := product(n)
	if err != nil {
		return err
	}
	found, err := convolutionsOf(d, p, engine.BFloat16, runs)
	if err != nil {
		return err
	}
	best := found[len(found)-1]
	fmt.Fprintf(out, "\nbf16 product of matrices of %d: %.3f ms, %.2f TFLOP/s by %s\n", n, best.Ms, tflops(best), best.Kernels)
	for _, r := range rows {
		p, err := r.program()
		if err != nil {
			return err
		}
		found, err := convolutionsOf(d, p, r.precision, runs)
		if err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
		var total float64
		for _, c := range found {
			total += float64(c.Ms) * float64(c.Times)
		}
		fmt.Fprintf(out, "\n%s, %.3f ms in convolutions\n%5s %9s %6s %9s %8s  %-28s %s\n", r, total, "times", "ms each", "part", "TFLOP/s", "of rate", "by", "convolution")
		for _, c := range found {
			fmt.Fprintf(out, "%5d %9.3f %5.1f%% %9.2f %7.1f%%  %-28s %s\n", c.Times, c.Ms, 100*float64(c.Ms)*float64(c.Times)/total,
				tflops(c), 100*tflops(c)/tflops(best), c.Kernels, c.Label)
		}
	}
	return nil
}

// TestTableOfConvolutions: where the time of generators at full width goes, in
// bf16. The fake driver's table says five milliseconds of every launch of an own
// convolution, and of a library's what that says.
func TestTableOfConvolutions(t *testing.T) {
	if onCard {
		if err := convTable(os.Stdout, open(t), []row{forward(128, 1, 512, 1024, engine.BFloat16), forward(128, 1, 256, 512, engine.BFloat16)}, 8192, 20); err != nil {
			t.Error(err)
		}
		return
	}
	rows := []row{forward(4, 1, 16, 24, engine.BFloat16)}
	p, err := rows[0].program()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := convTable(&text, open(t), rows, 16, 2); err != nil {
		t.Fatal(err)
	}
	work := 2 * 16 * 16 * 16 / 5e-3 / 1e12
	s := text.String()
	if want := fmt.Sprintf("bf16 product of matrices of 16: 5.000 ms, %.2f TFLOP/s by conv_half_", work); !strings.Contains(s, want) {
		t.Errorf("want %q in\n%s", want, s)
	}
	everyOnce(t, s, p, "conv_")
	cuda.ForceHopper("winograd")
	defer usual()
	wide := []row{forward(8, 1, 32, 32, engine.BFloat16)}
	if p, err = wide[0].program(); err != nil {
		t.Fatal(err)
	}
	text.Reset()
	if err := convTable(&text, open(t), wide, 16, 2); err != nil {
		t.Fatal(err)
	}
	if everyOnce(t, text.String(), p, ""); !strings.Contains(text.String(), "  wino_in, conv_bulk_") {
		t.Errorf("by Winograd's:\n%s", text.String())
	}
	usual()
	withDNN(t, "")
	withLT(t, "")
	text.Reset()
	if err := convTable(&text, open(t), rows, 16, 2); err != nil {
		t.Fatal(err)
	}
	if s := text.String(); !strings.Contains(s, "TFLOP/s by cublaslt\n") || !strings.Contains(s, "  cudnn ") || !strings.Contains(s, "  frame, cudnn ") {
		t.Errorf("with libraries:\n%s", s)
	}
}

// everyOnce: the table has each convolution of a program, which are by kernels whose
// names begin so.
func everyOnce(t *testing.T, table string, p *engine.Program, by string) {
	t.Helper()
	times, convolutions := 0, 0
	for _, i := range p.Code {
		switch i.Op.(type) {
		case op.Conv, op.ConvT:
			convolutions++
		}
	}
	for line := range strings.Lines(table) {
		var n int
		var ms float64
		if _, err := fmt.Sscan(line, &n, &ms); err == nil {
			times += n
			if !(ms >= 5) || !strings.Contains(line, "  "+by) {
				t.Errorf("%s", line)
			}
		}
	}
	if times != convolutions {
		t.Errorf("%d convolutions of %d in\n%s", times, convolutions, table)
	}
}
