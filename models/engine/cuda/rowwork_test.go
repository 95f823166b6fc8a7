//go:build cgo && linux

package cuda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/op"
	trainer "github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

// measured is what a row's process says of it.
type measured struct {
	Ms      float64 // of a frame, a step or a product; in lockstep of one clip's share of a step
	Alone   float64 // of a frame of a clip by itself in a lockstep's row; of the launches of a clip's
	Work    int64   // of one, convolutions' floating point operations
	Compile float64 // seconds until the first one
	By      string
	Refused []string // ways to convolve whose results were wrong
}

const (
	rowVariable = "V2V_CUDA_ROW" // the number of the row that a process measures
	rowMark     = "measured "    // before what it says
)

// TestRow measures one row, in a process that TestTable starts.
func TestRow(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(rowVariable))
	if err != nil {
		t.Skip(rowVariable + " is missing: TestTable starts this in processes of their own")
	}
	d := opened(t)
	m, err := rows()[n].measure(t, d)
	if err != nil {
		t.Error(err) // what was refused is worth knowing still
	}
	m.Refused = cuda.Refused(d)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s%s\n", rowMark, text)
}

func (r row) measure(t *testing.T, d engine.Device) (measured, error) {
	switch r.kind {
	case "rate":
		return r.measureRate(d)
	case "step":
		return r.measureStep(t.Context(), d)
	case "clip":
		return r.measureClip(t, d)
	case "lockstep":
		return r.measureLockstep(t, d)
	}
	p, err := r.program()
	if err != nil {
		return measured{}, err
	}
	m, began := measured{Work: p.Work() / int64(r.batch)}, time.Now()
	err = with(d, p, r.precision, func(e engine.Executable) (err error) {
		if err := errors.Join(e.Run(), cuda.Wait(d)); err != nil {
			return err
		}
		m.Compile, m.By = time.Since(began).Seconds(), servedBy(e)
		m.Ms, err = clock(d, e, r.rounds, r.runs)
		m.Ms /= float64(r.batch)
		return err
	})
	return m, err
}

// servedBy says who convolves.
func servedBy(all ...engine.Executable) string {
	var dnn, own int
	for _, e := range all {
		d, o := cuda.Served(e)
		dnn, own = dnn+d, own+o
	}
	return fmt.Sprintf("cuDNN %d, own %d", dnn, own)
}

// measureRate times the card's product of matrices.
func (r row) measureRate(d engine.Device) (measured, error) {
	p, err := product(r.h)
	if err != nil {
		return measured{}, err
	}
	began := time.Now()
	found, err := convolutionsOf(d, p, r.precision, r.runs)
	if err != nil {
		return measured{}, err
	}
	c := found[len(found)-1]
	return measured{Ms: float64(c.Ms), Work: c.Work, By: c.Kernels, Compile: time.Since(began).Seconds()}, nil
}

// through is a device whose programs are of a precision, and are noted.
type through struct {
	engine.Device
	precision engine.Precision
	made      []engine.Executable
	learn     int64 // work of the programs that learn
}

func (d *through) Compile(p *engine.Program, o engine.Options) (engine.Executable, error) {
	o.Precision = d.precision
	e, err := d.Device.Compile(p, o)
	if err != nil {
		return nil, err
	}
	for _, i := range p.Code {
		if _, learns := i.Op.(op.ConvGradW); learns {
			d.learn += p.Work()
			d.made = append(d.made, e)
			return e, nil
		}
	}
	if d.learn == 0 {
		d.made = append(d.made, e)
	}
	return e, nil
}

// stepsBefore is how many steps of a clip are not counted: the first has no past, and
// each of the places of what is fed back is captured as a graph when met again.
const stepsBefore = 8

// measureStep times whole training steps: generator, discriminators, losses, Adam,
// uploads of the frames and downloads of the losses.
func (r row) measureStep(ctx context.Context, d engine.Device) (m measured, err error) {
	c := trainer.DefaultVid2Vid()
	c.Generator, c.D.NDF = r.net, r.ndf()
	c.Height, c.Width, c.Batch, c.Seed = r.h, r.w, r.batch, 1
	by, began := &through{Device: d, precision: r.precision}, time.Now()
	v, err := trainer.NewVid2Vid(by, c)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	var times []float64
	n, last := 0, began
	err = v.Train(ctx, []*trainer.Sample{noise(r.h, r.w, stepsBefore+r.runs)}, trainer.Rates{LR: 2e-4}, func([]trainer.Loss) error {
		now := time.Now()
		if n++; n == 1 {
			m.Compile = now.Sub(began).Seconds()
		} else if n > stepsBefore {
			times = append(times, now.Sub(last).Seconds()*1e3)
		}
		last = now
		return nil
	})
	if err != nil {
		return m, err
	}
	slices.Sort(times)
	m.Ms, m.Work, m.By = times[len(times)/2], by.learn, servedBy(by.made...)
	return m, nil
}

// noise is a clip of random pictures with random small motion.
func noise(h, w, frames int) *trainer.Sample {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &trainer.Sample{Clip: "noise"}
	for range frames {
		f, seen := flow.NewField(w, h), make([]float32, h*w)
		for i := range seen {
			seen[i], f.U[i], f.V[i] = 1, rng.Float32()*4-2, rng.Float32()*4-2
		}
		s.A, s.B = append(s.A, picture(w, h, rng)), append(s.B, picture(w, h, rng))
		s.Flow, s.Visible = append(s.Flow, f), append(s.Visible, seen)
	}
	return s
}

func picture(w, h int, rng *rand.Rand) *video.Frame {
	f := video.NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = byte(rng.Uint32())
	}
	return f
}

// model is a file of the row's network with noise for weights.
func (r row) model(t *testing.T) (*models.Model, error) {
	c, err := models.NewConfig("vid2vid", &r.net, models.About{})
	if err != nil {
		return nil, err
	}
	path, some := filepath.Join(t.TempDir(), "m.safetensors"), constants()
	if err := models.Save(path, c, true, some); err != nil {
		return nil, err
	}
	m, err := models.Open(path)
	if err == nil {
		t.Cleanup(func() { m.Close() })
	}
	return m, err
}

// reel is a clip in memory, read and written as v2v convert does files.
type reel struct {
	w, h, n int
	frames  []*video.Frame // which take turns
	at      int
	pool    *video.Pool
	written int
}

func (r *reel) Info() video.Info { return video.Info{Width: r.w, Height: r.h} }

func (r *reel) Next(ctx context.Context) (*video.Frame, error) {
	if r.at++; r.at > r.n {
		return nil, io.EOF
	}
	f, err := r.pool.Get(ctx)
	if err == nil {
		copy(f.Pix, r.frames[r.at%len(r.frames)].Pix)
	}
	return f, err
}

func (r *reel) Write(context.Context, *video.Frame) error { r.written++; return nil }
func (r *reel) Commit(context.Context) error              { return nil }
func (r *reel) Close() error                              { return nil }

// convert runs a clip of n frames through a runner, and gives the milliseconds a
// frame.
func (r row) convert(ctx context.Context, by *models.Runner, n int) (float64, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	reel := &reel{w: r.w, h: r.h, n: n, pool: video.NewPool(r.w, r.h, 8)}
	for range 4 {
		reel.frames = append(reel.frames, picture(r.w, r.h, rng))
	}
	clip := jobs.Clip{Reader: reel, Generator: by, NewWriter: func(context.Context, video.Info, int, int) (video.Writer, error) { return reel, nil }}
	began := time.Now()
	_, err := clip.Run(ctx, nil)
	if err == nil && reel.written != n {
		err = fmt.Errorf("%d frames of %d were written", reel.written, n)
	}
	return time.Since(began).Seconds() * 1e3 / float64(n), err
}

// measureClip times a clip's frames by the pipeline that converts, uploads and
// downloads of every frame included, and the launches of one by themselves.
func (r row) measureClip(t *testing.T, d engine.Device) (m measured, err error) {
	model, err := r.model(t)
	if err != nil {
		return m, err
	}
	by := &through{Device: d, precision: r.precision}
	runner := models.NewRunner(by, model, models.RunOptions{Precision: r.precision})
	defer func() { err = errors.Join(err, runner.Close()) }()
	began := time.Now()
	if _, err := r.convert(t.Context(), runner, r.runs); err != nil { // compiles, and captures graphs
		return m, err
	}
	m.Compile = time.Since(began).Seconds()
	if m.Ms, err = middle(r.rounds, func() (float64, error) { return r.convert(t.Context(), runner, r.runs) }); err != nil {
		return m, err
	}
	if m.Alone, err = cuda.Launches(by.made[0], r.runs); err != nil {
		return m, err
	}
	p, err := r.program()
	m.Work, m.By = p.Work(), servedBy(by.made[0])
	return m, err
}

// measureLockstep times clips that run as one batch, and one that runs by itself.
func (r row) measureLockstep(t *testing.T, d engine.Device) (m measured, err error) {
	model, err := r.model(t)
	if err != nil {
		return m, err
	}
	together := models.NewLockstep(r.batch)
	var runners []*models.Runner
	for i := range r.batch + 1 {
		o := models.RunOptions{Precision: r.precision}
		if i > 0 {
			o.Lockstep = together
		}
		runner := models.NewRunner(d, model, o)
		defer func() { err = errors.Join(err, runner.Close()) }()
		runners = append(runners, runner)
	}
	one := func() (float64, error) { return r.convert(t.Context(), runners[0], r.runs) }
	all := func() (float64, error) {
		var g errgroup.Group
		began := time.Now()
		for _, runner := range runners[1:] {
			g.Go(func() error { _, err := r.convert(t.Context(), runner, r.runs); return err })
		}
		err := g.Wait()
		return time.Since(began).Seconds() * 1e3 / float64(r.batch*r.runs), err
	}
	began := time.Now()
	for _, f := range []func() (float64, error){one, all, one, all} { // compile, and capture graphs
		if _, err := f(); err != nil {
			return m, err
		}
	}
	m.Compile = time.Since(began).Seconds()
	if m.Alone, err = middle(r.rounds, one); err != nil {
		return m, err
	}
	m.Ms, err = middle(r.rounds, all)
	p, perr := r.program()
	if perr == nil {
		m.Work = p.Work() / int64(r.batch)
	}
	return m, errors.Join(err, perr)
}
