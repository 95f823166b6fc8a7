package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

type benchOptions struct {
	model, arch string
	options     map[string]any // of the architecture, by the names of a model file; only those given
	size        size
	train, step bool
	device      deviceOptions
	runs        int
	profile     bool
}

// benchReport is what bench prints with --json.
type benchReport struct {
	Event      string    `json:"event"`
	Name       string    `json:"name"` // architecture or model file
	Device     string    `json:"device"`
	Size       string    `json:"size"`
	Parameters int       `json:"parameters"`
	PerFrame   float64   `json:"ms_per_frame,omitempty"`
	PerStep    float64   `json:"ms_per_step,omitempty"`
	GFLOP      float64   `json:"gflop"`  // of one frame or step
	GFLOPS     float64   `json:"gflops"` // GFLOP a second
	PeakRSS    float64   `json:"peak_rss_mb"`
	Compile    float64   `json:"compile_s"`
	Runs       []float64 `json:"runs_ms"`
}

const leastRuns = 5 // a median of fewer says little on a shared machine

func newBench(a *app) *cobra.Command {
	o := benchOptions{size: size{256, 256}}
	c := &cobra.Command{
		Use:   "bench (--model MODEL | --arch NETWORK)",
		Short: "Measure how fast a network runs or trains on this machine",
		Long: `Runs a network on random pictures, warmed up, and prints the median time of a
frame; or, with --train, of a step: forward, L1 loss and backward; or, with
--step, of vid2vid's whole step with discriminators as wide as --ngf.`,
		Example: `  v2v bench --arch composite --ngf 64 --size 256x256
  v2v bench --arch composite --ngf 32 --size 128x128 --train
  v2v bench --arch unet --norm instance
  v2v bench --model model.safetensors --size 480x640 --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.options = map[string]any{}
			for flag, option := range archOptions {
				if f := c.Flags().Lookup(flag); f.Changed {
					o.options[option] = json.RawMessage(f.Value.String())
					if f.Value.Type() == "string" {
						o.options[option] = f.Value.String()
					}
				}
			}
			if o.step {
				return o.timeSteps(c.Context(), a)
			}
			return runBench(c.Context(), a, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "model file to measure")
	f.StringVar(&o.arch, "arch", "", "architecture to measure with random weights: composite, "+strings.Join(models.Names(), ", "))
	f.Int("ngf", 64, "channels after the first convolution, with --arch")
	f.Int("blocks", 9, "residual blocks, with --arch composite")
	f.Int("downs", 3, "halvings, with --arch composite")
	f.Int("frames", 3, "control pictures seen at a time, with --arch composite")
	f.String("norm", "batch", "batch or instance, with --arch")
	f.Var(&o.size, "size", "height x width of the pictures")
	f.BoolVar(&o.train, "train", false, "measure a training step")
	f.BoolVar(&o.step, "step", false, "measure a full step of vid2vid: G, D, D_T, all losses, Adam")
	f.IntVarP(&o.runs, "runs", "n", leastRuns, "how many runs the median is of, 5 or more")
	f.BoolVar(&o.profile, "profile", false, "list what the time goes into, on stderr")
	o.device.flags(f, a.say)
	a.jsonFlag(c)
	return c
}

// archOptions are the flags that set an option of an architecture.
var archOptions = map[string]string{"ngf": "ngf", "blocks": "n_blocks", "downs": "n_downsample", "frames": "n_frames", "norm": "norm"}

// subject is the network to be measured.
type subject struct {
	name   string
	net    models.Network
	params []nn.Param
	weight func(name string, dst []float32) error
	close  func() error
}

func (o benchOptions) open() (subject, error) {
	switch {
	case (o.model == "") == (o.arch == ""):
		return subject{}, usage("give either --model or --arch composite")
	case o.runs < leastRuns:
		return subject{}, usage("--runs %d: give %d or more, or the median says little", o.runs, leastRuns)
	case o.model != "":
		m, err := openModel(o.model)
		if err != nil {
			return subject{}, err
		}
		params, err := models.Parameters(m.Net)
		return subject{o.model, m.Net, params, m.Weight, m.Close}, err
	}
	net, err := o.network()
	if err != nil {
		return subject{}, err
	}
	params, err := models.Parameters(net)
	byName := map[string]nn.Param{}
	for _, p := range params {
		byName[p.Name] = p
	}
	weight := func(name string, dst []float32) error {
		p := byName[name]
		p.Fill(dst, p.Rand(1))
		return nil
	}
	return subject{o.arch, net, params, weight, func() error { return nil }}, err
}

// network makes the architecture with its published defaults, but for RGB
// pictures and with the narrower composite that a laptop runs.
func (o benchOptions) network() (models.Network, error) {
	name := o.arch
	if name == "composite" {
		name = "vid2vid"
	}
	net, err := models.Blank(name)
	if err != nil {
		return nil, usage("--arch: %w", err)
	}
	options := map[string]any{}
	if name == "vid2vid" {
		options["ngf"] = 64
	}
	maps.Copy(options, o.options)
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("options of --arch %s: %w", o.arch, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(net); err != nil {
		return nil, usage("--arch %s: %w", o.arch, err)
	}
	if err := net.Validate(); err != nil {
		return nil, usage("--arch %s: %w", o.arch, err)
	}
	if net.Needs().Role != "" {
		return nil, usage("--arch %s makes no frames", o.arch)
	}
	return net, nil
}

func runBench(ctx context.Context, a *app, o benchOptions) (err error) {
	s, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	dev, err := o.device.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	p, err := o.program(s)
	if err != nil {
		return err
	}
	r := benchReport{Event: "bench", Name: s.name, Device: dev.Name(), Size: o.size.String(), GFLOP: float64(p.Work()) / 1e9}
	for _, p := range s.params {
		r.Parameters += p.Shape.TotalSize()
	}
	began := time.Now()
	exe, err := dev.Compile(p, engine.Options{Precision: o.device.precision, Constants: s.weight})
	if errors.Is(err, engine.ErrUnsupported) {
		return usage("%w", err)
	}
	if err != nil {
		return fmt.Errorf("prepare %s for %s: %w", s.name, o.size.String(), err)
	}
	defer func() { err = errors.Join(err, exe.Close()) }()
	r.Compile = time.Since(began).Seconds()
	free, err := bindAll(dev, exe, p, s)
	defer func() { err = errors.Join(err, free()) }()
	if err != nil {
		return err
	}
	if r.Runs, err = o.measure(ctx, a, exe); err != nil {
		return err
	}
	ms := median(r.Runs)
	r.GFLOPS, r.PeakRSS = r.GFLOP/ms*1e3, peakRSS()
	if o.train {
		r.PerStep = ms
	} else {
		r.PerFrame = ms
	}
	return a.printBench(r)
}

// program is the network's own, or with --train one step of it: the L1 loss
// against a target, and its gradients left in variables.
func (o benchOptions) program(s subject) (*engine.Program, error) {
	h, w := o.size.H, o.size.W
	if !o.train {
		return models.GeneratorProgram(s.net, 1, h, w)
	}
	need := s.net.Needs()
	h, w = models.Padded(h, need.Stride), models.Padded(w, need.Stride)
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	in := models.Inputs{Labels: b.Input("labels", 1, need.Channels()*need.Window, h, w)}
	if need.Past > 0 {
		in.Prev = b.Input("prev", 1, 3*need.Past, h, w)
	}
	loss := b.L1(s.net.Build(b, in).Final, b.Input("target", 1, 3, h, w))
	params := b.Params()
	grads := b.Grad(loss, params)
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("pictures of %s: %w", o.size.String(), err)
	}
	src := engine.Source{Outputs: []engine.Named{{Name: "loss", Node: loss}}}
	names := map[string]bool{}
	for i, p := range params {
		names[p.Name] = true
		v := b.Input(p.Name+".grad", p.Shape...)
		src.Updates = append(src.Updates, engine.Update{Var: v, New: grads[i]})
	}
	src.Variable = func(name string) bool { return names[name] }
	if err := b.Err(); err != nil {
		return nil, err
	}
	return engine.Lower(src)
}

// bindAll gives a program random inputs and the network's weights. The
// function it returns frees them and is never nil.
func bindAll(dev engine.Device, exe engine.Executable, p *engine.Program, s subject) (free func() error, err error) {
	var made []engine.Buffer
	free = func() error {
		var errs []error
		for _, b := range made {
			errs = append(errs, b.Close())
		}
		return errors.Join(errs...)
	}
	weights := map[string]bool{}
	for _, p := range s.params {
		weights[p.Name] = true
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, v := range p.Values {
		if v.Role != engine.Input && v.Role != engine.Variable {
			continue
		}
		b, err := dev.Alloc(v.Shape, v.Type)
		if err != nil {
			return free, err
		}
		made = append(made, b)
		x, err := start(v, weights[v.Name], s, rng)
		if err != nil {
			return free, err
		}
		if err := errors.Join(b.Write(x), exe.Bind(v.Name, b)); err != nil {
			return free, err
		}
	}
	return free, nil
}

// start is what a bound value begins with: a weight, or noise.
func start(v engine.Value, weight bool, s subject, rng *rand.Rand) (any, error) {
	if v.Type == engine.U8 {
		x := make([]byte, v.Size())
		for i := range x {
			x[i] = byte(rng.Uint32())
		}
		return x, nil
	}
	x := make([]float32, v.Size())
	if weight {
		return x, s.weight(v.Name, x)
	}
	for i := range x {
		x[i] = rng.Float32()*2 - 1
	}
	return x, nil
}

// measure runs once to warm up and then times each run, in milliseconds.
func (o benchOptions) measure(ctx context.Context, a *app, exe engine.Executable) ([]float64, error) {
	if err := exe.Run(); err != nil {
		return nil, err
	}
	var runs []float64
	for range o.runs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := exe.Run(); err != nil {
			return nil, err
		}
		runs = append(runs, float64(time.Since(began))/1e6)
	}
	if !o.profile {
		return runs, nil
	}
	return runs, a.profile(exe)
}

// profile runs once more, timing every step.
func (a *app) profile(exe engine.Executable) error {
	p, ok := exe.(engine.Profiler)
	if !ok {
		return usage("--profile: this device cannot time its steps; try --device cpu")
	}
	p.Profile(true)
	err := exe.Run()
	timings := p.Timings()
	p.Profile(false)
	if err != nil {
		return err
	}
	slices.SortStableFunc(timings, func(x, y engine.Timing) int { return int(y.Total - x.Total) })
	for _, t := range timings {
		a.say("%9.3f ms  %s", float64(t.Total)/1e6, t.Name)
	}
	return nil
}

func (a *app) printBench(r benchReport) error {
	if a.json {
		return a.event(r)
	}
	ms, unit := r.PerFrame, "ms/frame"
	if r.PerStep > 0 {
		ms, unit = r.PerStep, "ms/step"
	}
	if r.GFLOP == 0 {
		_, err := fmt.Fprintf(a.out, "%s %s on %s: %.1f %s, peak memory %.0f MB\n", r.Name, r.Size, r.Device, ms, unit, r.PeakRSS)
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s %s on %s: %.1f %s, %.1f GFLOP/s, peak memory %.0f MB\n",
		r.Name, r.Size, r.Device, ms, unit, r.GFLOPS, r.PeakRSS)
	return err
}

// median is the middle value, or the mean of the two.
func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}

// peakRSS is the most memory this process has held so far, in MB (10^6 bytes);
// 0 where the system does not tell.
func peakRSS() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024 / 1e6
		}
	}
	return 0
}
