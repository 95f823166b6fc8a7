package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// pictureGraph is one program of a picture trainer while it is built.
type pictureGraph struct {
	b       *nn.Builder
	terms   terms
	norms   []engine.Named // squared lengths of gradients
	updates []nn.Update
	extra   []engine.Named
}

func newPictureGraph() *pictureGraph {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	return &pictureGraph{b: b, terms: terms{b: b}}
}

// output asks for a node beside the losses.
func (g *pictureGraph) output(name string, n *G.Node) {
	g.extra = append(g.extra, engine.Named{Name: name, Node: n})
}

// descend adds an Adam step of some parameters along grads, and the length of
// the gradient as a loss to look at, where it has a name.
func (g *pictureGraph) descend(params []nn.Param, grads G.Nodes, o nn.AdamOptions, norm string) {
	if g.b.Err() != nil {
		return
	}
	if norm != "" {
		var squares []nn.Term
		for i, p := range params {
			squares = append(squares, nn.Term{Weight: float32(p.Shape.TotalSize()), Node: g.b.MSE(grads[i], 0)})
		}
		g.norms = append(g.norms, engine.Named{Name: norm, Node: g.b.Combine(squares...)})
	}
	g.updates = append(g.updates, nn.Adam(g.b, params, grads, o)...)
}

// lower makes the program. Parameters are variables, and so are the directions
// of spectral norms.
func (g *pictureGraph) lower() (*step, error) {
	shared := map[string]bool{}
	for _, p := range g.b.Params() {
		shared[p.Name] = true
	}
	src := engine.Source{Outputs: g.extra, Constant: isPerceptual, Variable: func(name string) bool { return shared[name] || isDirection(name) }}
	s := &step{params: g.b.Params(), extra: len(g.extra)}
	for i, name := range g.terms.names {
		s.losses = append(s.losses, name)
		src.Outputs = append(src.Outputs, engine.Named{Name: "loss " + name, Node: g.terms.parts[i].Node})
	}
	for _, n := range g.norms {
		s.losses = append(s.losses, n.Name)
		src.Outputs = append(src.Outputs, engine.Named{Name: "loss " + n.Name, Node: n.Node})
	}
	for _, u := range g.updates {
		src.Updates = append(src.Updates, engine.Update(u))
	}
	if err := g.b.Err(); err != nil {
		return nil, err
	}
	var err error
	s.prog, err = engine.Lower(src)
	return s, err
}

// isLength tells the length of a gradient from the losses.
func isLength(name string) bool { return strings.HasSuffix(name, "norm") }

// lengths turns the squared lengths among losses into lengths.
func lengths(losses []Loss) {
	for i, l := range losses {
		if isLength(l.Name) {
			losses[i].Value = math.Sqrt(l.Value)
		}
	}
}

// atelier holds the programs of a picture trainer and the buffers they share by
// name: variables, inputs, and outputs that are another program's input.
type atelier struct {
	dev       engine.Device
	steps     []*step
	vars      map[string]engine.Buffer
	in        map[string]engine.Buffer
	state     []State
	compiling engine.Options         // of every program
	model     func(name string) bool // whether a variable goes into the model file
}

func newAtelier(dev engine.Device, model func(string) bool) *atelier {
	return &atelier{dev: dev, vars: map[string]engine.Buffer{}, in: map[string]engine.Buffer{}, model: model}
}

// add compiles a graph and binds it. Called says under what name a variable
// of the program is kept; nil keeps its own.
func (a *atelier) add(g *pictureGraph, called func(string) string) (*step, error) {
	s, err := g.lower()
	if err != nil {
		return nil, err
	}
	if s.exe, err = a.dev.Compile(s.prog, a.compiling); err != nil {
		return nil, err
	}
	a.steps = append(a.steps, s)
	for _, v := range s.prog.Values {
		if v.Alias >= 0 || v.Role != engine.Variable && v.Role != engine.Input {
			continue
		}
		kept := v.Name
		if called != nil && v.Role == engine.Variable {
			kept = called(v.Name)
		}
		b, err := a.buffer(kept, v)
		if err == nil {
			err = s.exe.Bind(v.Name, b)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// buffer finds or makes what a variable or an input is bound to.
func (a *atelier) buffer(name string, v engine.Value) (engine.Buffer, error) {
	all := a.in
	if v.Role == engine.Variable {
		all = a.vars
	}
	if b, ok := all[name]; ok {
		return b, nil
	}
	b, err := a.dev.Alloc(v.Shape, v.Type)
	if err != nil {
		return nil, err
	}
	all[name] = b
	if v.Role == engine.Variable {
		a.state = append(a.state, State{Name: name, Model: a.model(name), Buffer: b})
		slices.SortStableFunc(a.state, func(x, y State) int { return order(x.Model) - order(y.Model) })
	}
	return b, nil
}

// hand lets a program write an output into the input of that name of others.
func (a *atelier) hand(s *step, output string) error {
	b, ok := a.in[output]
	if !ok {
		return fmt.Errorf("no program reads %s", output)
	}
	return s.exe.Bind(output, b)
}

// write fills an input, if some program reads it.
func (a *atelier) write(name string, x any) error {
	b, ok := a.in[name]
	if !ok {
		return nil
	}
	if err := b.Write(x); err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	return nil
}

// rates sets what Adam needs to know of a step, its bias corrections included.
func (a *atelier) rates(name string, lr float64, beta1, beta2 float32, step int) error {
	t := float64(step + 1)
	first := 1 / (1 - math.Pow(float64(beta1), t))
	second := 1 / math.Sqrt(1-math.Pow(float64(beta2), t))
	return a.write(name+".h", []float32{float32(lr * first), float32(second)})
}

// initialise draws the parameters, each from its own source, and the
// directions of spectral norms.
func (a *atelier) initialise(seed uint64) error {
	done := map[string]bool{}
	for _, s := range a.steps {
		for _, p := range s.params {
			if done[p.Name] || a.vars[p.Name] == nil {
				continue
			}
			done[p.Name] = true
			if err := a.fill(p, seed); err != nil {
				return err
			}
		}
	}
	return direct(a.vars, seed)
}

func (a *atelier) fill(p nn.Param, seed uint64) error {
	x := make([]float32, p.Shape.TotalSize())
	p.Fill(x, p.Rand(seed))
	if err := a.vars[p.Name].Write(x); err != nil {
		return fmt.Errorf("initialise %s: %w", p.Name, err)
	}
	return nil
}

// copy writes a variable over another.
func (a *atelier) copy(dst, src string) error {
	x, err := readAll(a.vars[src])
	if err != nil {
		return err
	}
	return a.vars[dst].Write(x)
}

func readAll(b engine.Buffer) ([]float32, error) {
	x := make([]float32, engine.Value{Shape: b.Shape()}.Size())
	return x, b.Read(x)
}

// uploadReal brings the samples' pictures to the device.
func (a *atelier) uploadReal(batch []*Sample, size, want int) error {
	if len(batch) != want {
		return fmt.Errorf("batch of %d samples, compiled for %d", len(batch), want)
	}
	pix := make([]byte, 0, 3*len(batch)*size*size)
	for _, s := range batch {
		if s.B[0].W != size || s.B[0].H != size {
			return fmt.Errorf("picture is %dx%d, training runs at %dx%d", s.B[0].W, s.B[0].H, size, size)
		}
		pix = append(pix, s.B[0].Pix...)
	}
	return a.write("real", pix)
}

// frameOf makes a frame of item i of pictures (N,C,h,w) in [-1,1], C being 3 or
// 1.
func frameOf(x []float32, i, channels, h, w int) *video.Frame {
	f := video.NewFrame(w, h)
	n := h * w
	x = x[i*channels*n:][:channels*n]
	for p := range n {
		for c := range 3 {
			f.Pix[3*p+c] = toByte(x[min(c, channels-1)*n+p]*0.5 + 0.5)
		}
	}
	return f
}

// made runs a program and gives the first pictures of its first output, as many
// as a sheet shows.
func made(s *step, o *models.PictureOptions, batch int) ([]*video.Frame, error) {
	if err := s.exe.Run(); err != nil {
		return nil, err
	}
	x, err := readAll(s.exe.Output(0))
	if err != nil {
		return nil, err
	}
	var frames []*video.Frame
	for i := range min(batch, shownPictures) {
		frames = append(frames, frameOf(x, i, o.Channels, o.Size, o.Size))
	}
	return frames, nil
}

func (a *atelier) close() error {
	var errs []error
	for _, s := range a.steps {
		errs = append(errs, s.exe.Close())
	}
	for _, all := range []map[string]engine.Buffer{a.vars, a.in} {
		for _, b := range all {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}
