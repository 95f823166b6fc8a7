package models

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// Sampler makes pictures of codes. Where the network normalises by the
// statistics of a batch, the sampler measures them once, on codes that it
// draws itself: a picture depends on its own code alone. Its methods are called
// by one goroutine at a time.
type Sampler struct {
	dev     engine.Device
	net     Picture
	weight  func(name string, dst []float32) error
	table   [][]float32 // learned codes
	moments map[string][]float32
	exe     engine.Executable
	code    engine.Buffer
	class   engine.Buffer // nil without classes
}

const (
	measured  = 64 // codes that statistics are taken of: DCGAN's batch, near enough
	samplings = 16 // pictures made at a time
)

// momentsOf names the statistics of a normalisation.
const momentsOf = "moments."

// NewSampler prepares to make pictures with a network of the given weights.
// The device stays the caller's.
func NewSampler(dev engine.Device, net Picture, weight func(name string, dst []float32) error) (*Sampler, error) {
	s := &Sampler{dev: dev, net: net, weight: weight, moments: map[string][]float32{}}
	err := s.readTable()
	if err == nil {
		err = s.measure()
	}
	if err == nil {
		err = s.compile()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare to sample: %w", err), s.Close())
	}
	return s, nil
}

func (s *Sampler) readTable() error {
	o := s.net.Options()
	if !s.net.Learned() {
		return nil
	}
	all := make([]float32, o.Images*o.Code)
	if err := s.weight(CodeTable+".weight", all); err != nil {
		return err
	}
	for ; len(all) > 0; all = all[o.Code:] {
		s.table = append(s.table, all[:o.Code:o.Code])
	}
	return nil
}

// Learned is the code of every training image; nil where codes are noise.
func (s *Sampler) Learned() [][]float32 { return s.table }

// Draw is DrawCodes of this network.
func (s *Sampler) Draw(n int, seed uint64) [][]float32 {
	return DrawCodes(s.table, s.net.Options().Code, n, seed)
}

// DrawCodes draws n codes of so many numbers: normal noise where there is no
// table of learned codes, and of the normal distribution that has its mean and
// covariance where there is. The first codes of a seed are the same whatever n.
func DrawCodes(table [][]float32, width, n int, seed uint64) [][]float32 {
	codes := make([][]float32, n)
	mean := meanOf(table, width)
	for i := range codes {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		codes[i] = make([]float32, width)
		if table == nil {
			for k := range codes[i] {
				codes[i][k] = float32(rng.NormFloat64())
			}
			continue
		}
		// A sum of the deviations with independent normal weights has their
		// covariance, also where there are fewer codes than they have numbers.
		copy(codes[i], mean)
		scale := 1 / math.Sqrt(float64(max(1, len(table)-1)))
		for _, c := range table {
			w := float32(rng.NormFloat64() * scale)
			for k, x := range c {
				codes[i][k] += w * (x - mean[k])
			}
		}
	}
	return codes
}

func meanOf(codes [][]float32, width int) []float32 {
	mean := make([]float32, width)
	for _, c := range codes {
		for k, x := range c {
			mean[k] += x / float32(len(codes))
		}
	}
	return mean
}

// Walk is n codes on the way through the stops and back to the first. Noise
// goes along great circles, which keeps it as long as noise is (White 2016);
// learned codes in straight lines.
func (s *Sampler) Walk(stops [][]float32, n int) [][]float32 {
	codes := make([][]float32, n)
	for i := range codes {
		at := float64(i) * float64(len(stops)) / float64(n)
		from, t := int(at), at-math.Floor(at)
		codes[i] = between(stops[from], stops[(from+1)%len(stops)], t, s.table == nil)
	}
	return codes
}

// between is the point at t of the way from a to b.
func between(a, b []float32, t float64, round bool) []float32 {
	wa, wb := 1-t, t
	if round {
		var dot, aa, bb float64
		for k := range a {
			dot += float64(a[k]) * float64(b[k])
			aa += float64(a[k]) * float64(a[k])
			bb += float64(b[k]) * float64(b[k])
		}
		angle := math.Acos(max(-1, min(1, dot/math.Sqrt(aa*bb))))
		if s := math.Sin(angle); s > 1e-6 {
			wa, wb = math.Sin((1-t)*angle)/s, math.Sin(t*angle)/s
		}
	}
	out := make([]float32, len(a))
	for k := range a {
		out[k] = float32(wa*float64(a[k]) + wb*float64(b[k]))
	}
	return out
}

// measure takes the statistics of every normalisation on one batch.
func (s *Sampler) measure() error {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	in := s.net.Options().inputs(b, measured)
	src := engine.Source{Constant: constants}
	in.Norm = func(x *G.Node, name string) *G.Node {
		m := b.BatchMoments(x)
		src.Outputs = append(src.Outputs, engine.Named{Name: momentsOf + name, Node: m})
		return b.NormBy(x, name, m)
	}
	s.net.Build(b, in)
	if err := b.Err(); err != nil || len(src.Outputs) == 0 {
		return err
	}
	if err := s.lower(src); err != nil {
		return err
	}
	codes, classes := s.Draw(measured, 1), make([]int, measured)
	for i := range codes {
		if n := len(s.net.Options().Classes); n > 0 {
			classes[i] = i % n
		}
		if s.table != nil { // what was trained on, evenly spread
			codes[i] = s.table[i*len(s.table)/measured]
		}
	}
	if err := s.upload(codes, classes); err != nil {
		return err
	}
	if err := s.exe.Run(); err != nil {
		return err
	}
	for i, o := range src.Outputs {
		x := make([]float32, o.Node.Shape().TotalSize())
		if err := s.exe.Output(i).Read(x); err != nil {
			return err
		}
		s.moments[o.Name] = x
	}
	return s.release()
}

// constants are all leaves but what codes come in by.
func constants(name string) bool { return name != "code" && name != "class" }

// lower compiles a program and makes its inputs.
func (s *Sampler) lower(src engine.Source) error {
	p, err := engine.Lower(src)
	if err != nil {
		return err
	}
	s.exe, err = s.dev.Compile(p, engine.Options{Constants: func(name string, dst []float32) error {
		if strings.HasPrefix(name, momentsOf) {
			copy(dst, s.moments[name])
			return nil
		}
		return s.weight(name, dst)
	}})
	if err != nil {
		return err
	}
	for name, to := range map[string]*engine.Buffer{"code": &s.code, "class": &s.class} {
		if p.Find(name) < 0 {
			continue
		}
		if *to, err = s.dev.Alloc(p.Values[p.Find(name)].Shape, engine.F32); err != nil {
			return err
		}
		if err := s.exe.Bind(name, *to); err != nil {
			return err
		}
	}
	return nil
}

// compile makes the program that makes pictures.
func (s *Sampler) compile() error {
	o := s.net.Options()
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	in := o.inputs(b, samplings)
	in.Norm = func(x *G.Node, name string) *G.Node {
		if x == nil {
			return nil
		}
		return b.NormBy(x, name, b.Input(momentsOf+name, 1, x.Shape()[1], 2))
	}
	y := s.net.Build(b, in)
	if o.Channels == 1 {
		y = b.Concat(1, y, y, y)
	}
	src := engine.Source{Constant: constants, Outputs: []engine.Named{{Name: "rgb", Node: b.ToBytes(y, o.Size, o.Size)}}}
	if err := b.Err(); err != nil {
		return err
	}
	return s.lower(src)
}

// upload fills a batch, the last code standing for those that are missing.
func (s *Sampler) upload(codes [][]float32, classes []int) error {
	batch, width := s.code.Shape()[0], s.net.Options().Code
	x := make([]float32, 0, batch*width)
	for i := range batch {
		x = append(x, codes[min(i, len(codes)-1)]...)
	}
	if err := s.code.Write(x); err != nil || s.class == nil {
		return err
	}
	n := len(s.net.Options().Classes)
	hot := make([]float32, batch*n)
	for i := range batch {
		hot[i*n+classes[min(i, len(classes)-1)]] = 1
	}
	return s.class.Write(hot)
}

// Make makes a picture of each code. Classes number the classes of the
// pictures; without classes they are not read.
func (s *Sampler) Make(ctx context.Context, codes [][]float32, classes []int) ([]*video.Frame, error) {
	o := s.net.Options()
	if s.class != nil && len(classes) != len(codes) {
		return nil, fmt.Errorf("%d classes for %d codes", len(classes), len(codes))
	}
	var made []*video.Frame
	pix := make([]byte, samplings*3*o.Size*o.Size)
	for len(codes) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		n := min(len(codes), samplings)
		if err := s.upload(codes[:n], classes[:min(n, len(classes))]); err != nil {
			return nil, err
		}
		if err := s.exe.Run(); err != nil {
			return nil, err
		}
		if err := s.exe.Output(0).Read(pix); err != nil {
			return nil, err
		}
		for i := range n {
			f := video.NewFrame(o.Size, o.Size)
			copy(f.Pix, pix[i*len(f.Pix):])
			made = append(made, f)
		}
		codes, classes = codes[n:], classes[min(n, len(classes)):]
	}
	return made, nil
}

// release frees a program and its inputs.
func (s *Sampler) release() error {
	var errs []error
	if s.exe != nil {
		errs = append(errs, s.exe.Close())
	}
	for _, b := range []engine.Buffer{s.code, s.class} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	s.exe, s.code, s.class = nil, nil, nil
	return errors.Join(errs...)
}

// Close frees the device's memory.
func (s *Sampler) Close() error { return s.release() }
