//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
)

// row is one line of the table: the composite generator at a size.
type row struct {
	ngf, batch, h, w int
	precision        engine.Precision
}

func (r row) String() string {
	return fmt.Sprintf("composite ngf %d, %d x %dx%d, %s", r.ngf, r.batch, r.h, r.w, map[engine.Precision]string{engine.Float32: "f32", engine.BFloat16: "bf16", engine.TF32: "tf32"}[r.precision])
}

// onTheCard is what make test-cuda measures; lockstep is a batch of 8.
var onTheCard = []row{
	{128, 1, 512, 1024, engine.BFloat16}, {128, 1, 256, 512, engine.BFloat16}, {128, 1, 512, 1024, engine.TF32}, {128, 1, 256, 512, engine.Float32},
	{64, 1, 256, 256, engine.BFloat16}, {64, 8, 256, 256, engine.BFloat16},
}

// TestTable times whole generators and prints one table; on the fake driver it
// only shows that it would.
func TestTable(t *testing.T) {
	rows, rounds, runs := onTheCard, 7, 10
	out := io.Writer(os.Stdout)
	var text strings.Builder
	if !onCard {
		rows, rounds, runs, out = []row{{4, 2, 16, 24, engine.BFloat16}}, 1, 2, &text
	}
	d := open(t)
	cards, err := cuda.Probe()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "%s: %s\n%-46s %10s %10s %10s  %s\n", d.Name(), cards[0].About, "work", "ms a run", "frames/s", "TFLOP/s", "convolutions by")
	for _, r := range rows {
		ms, work, path, err := r.measure(d, rounds, runs)
		if err != nil {
			t.Errorf("%s: %v", r, err)
			continue
		}
		fmt.Fprintf(out, "%-46s %10.3f %10.1f %10.2f  %s\n", r, ms, float64(r.batch)/ms*1e3, float64(work)/ms/1e9, path)
	}
	if s := text.String(); !onCard && !(strings.Contains(s, "composite ngf 4, 2 x 16x24, bf16") && strings.Contains(s, "cuDNN 0, own ")) {
		t.Errorf("table:\n%s", text.String())
	}
}

// program is the row's generator.
func (r row) program() (*engine.Program, error) {
	net := models.DefaultVid2Vid()
	net.NGF = r.ngf
	return models.GeneratorProgram(net, r.batch, r.h, r.w)
}

// measure compiles and binds a row's program and times it.
func (r row) measure(d engine.Device, rounds, runs int) (ms float64, work int64, path string, err error) {
	p, err := r.program()
	if err != nil {
		return 0, 0, "", err
	}
	err = with(d, p, r.precision, func(e engine.Executable) (err error) {
		ms, err = clock(e, rounds, runs)
		dnn, own := cuda.Served(e)
		path = fmt.Sprintf("cuDNN %d, own %d", dnn, own)
		return err
	})
	return ms, p.Work(), path, err
}

// with compiles a program and binds random numbers to it for a call of f.
func with(d engine.Device, p *engine.Program, precision engine.Precision, f func(engine.Executable) error) error {
	rng := rand.New(rand.NewPCG(1, 2))
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: func(_ string, dst []float32) error {
		for i := range dst {
			dst[i] = float32(rng.NormFloat64()) * 0.02
		}
		return nil
	}})
	if err != nil {
		return err
	}
	var buffers []engine.Buffer
	err = func() error {
		for _, v := range p.Values {
			if v.Role != engine.Input {
				continue
			}
			b, err := d.Alloc(v.Shape, v.Type)
			if err != nil {
				return err
			}
			buffers = append(buffers, b)
			if err := errors.Join(randomise(b, rng), e.Bind(v.Name, b)); err != nil {
				return err
			}
		}
		return f(e)
	}()
	for _, b := range buffers {
		err = errors.Join(err, b.Close())
	}
	return errors.Join(err, e.Close())
}

// clock is the median of rounds, each of several runs and the download of the
// last frame.
func clock(e engine.Executable, rounds, runs int) (float64, error) {
	frame := e.Output(0)
	size := engine.Value{Shape: frame.Shape()}.Size()
	var into any = make([]float32, size)
	if frame.Type() == engine.U8 {
		into = make([]byte, size)
	}
	var times []float64
	for range rounds + 1 {
		began := time.Now()
		for range runs {
			if err := e.Run(); err != nil {
				return 0, err
			}
		}
		if err := frame.Read(into); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began).Seconds()*1e3/float64(runs))
	}
	times = times[1:] // the first round captures the graph
	slices.Sort(times)
	return times[len(times)/2], nil
}

// randomise fills a buffer: zeros would run faster than pictures do.
func randomise(b engine.Buffer, rng *rand.Rand) error {
	n := engine.Value{Shape: b.Shape()}.Size()
	if b.Type() == engine.U8 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		return b.Write(data)
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(rng.NormFloat64())
	}
	return b.Write(data)
}
