package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// hostBuffer is device memory that lies in Go's.
type hostBuffer struct {
	shape tensor.Shape
	data  []float32
}

func newBuffer(shape ...int) *hostBuffer {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return &hostBuffer{tensor.Shape(shape), make([]float32, n)}
}

func (b *hostBuffer) Shape() tensor.Shape { return b.shape }
func (b *hostBuffer) Type() engine.Type   { return engine.F32 }
func (b *hostBuffer) Read(dst any) error  { copy(dst.([]float32), b.data); return nil }
func (b *hostBuffer) Write(src any) error { copy(b.data, src.([]float32)); return nil }
func (b *hostBuffer) Close() error        { return nil }

// fakeTrainer fits a vector to the mean colours of the samples by Adam: its
// losses depend on every sample and every step before. A sample of T frames
// takes T-1 steps.
type fakeTrainer struct {
	w, m, v *hostBuffer

	before func(step int, w []float32) error // called before each step
	terms  func(step int, losses []Loss) []Loss
}

func newFakeTrainer() *fakeTrainer {
	return &fakeTrainer{w: newBuffer(2, 3), m: newBuffer(2, 3), v: newBuffer(2, 3)}
}

func (f *fakeTrainer) Steps(t int) int { return t - 1 }
func (f *fakeTrainer) Close() error    { return nil }

func (f *fakeTrainer) State() []State {
	return []State{{"g.weight", true, f.w}, {"adam.m/g.weight", false, f.m}, {"adam.v/g.weight", false, f.v}}
}

func (f *fakeTrainer) Train(_ context.Context, batch []*Sample, r Rates, report func([]Loss) error) error {
	for t := 1; t < len(batch[0].A); t++ {
		step := r.Step + t // counted from 1
		if f.before != nil {
			if err := f.before(step, f.w.data); err != nil {
				return err
			}
		}
		losses := f.adam(batch, t, r.LR, float64(step))
		if f.terms != nil {
			losses = f.terms(step, losses)
		}
		if err := report(losses); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeTrainer) adam(batch []*Sample, t int, lr, step float64) []Loss {
	losses := []Loss{{Name: "A"}, {Name: "B"}}
	for i := range f.w.data {
		var target float64
		for _, s := range batch {
			frame := s.A[t]
			if i >= 3 {
				frame = s.B[t]
			}
			target += float64(frame.Pix[i%3]) / 255 / float64(len(batch))
		}
		d := float64(f.w.data[i]) - target
		losses[i/3].Value += d * d
		g := 2 * d
		m, v := 0.5*float64(f.m.data[i])+0.5*g, 0.999*float64(f.v.data[i])+0.001*g*g
		f.m.data[i], f.v.data[i] = float32(m), float32(v)
		mh, vh := m/(1-math.Pow(0.5, step)), v/(1-math.Pow(0.999, step))
		f.w.data[i] -= float32(lr * mh / (math.Sqrt(vh) + 1e-8))
	}
	return losses
}

func (f *fakeTrainer) Render(_ context.Context, s *Sample) ([]Picture, error) {
	last := len(s.A) - 1
	fake := video.NewFrame(s.A[0].W, s.A[0].H)
	return []Picture{{"input", s.A[last]}, {"fake", fake}, {"real", s.B[last]}}, nil
}

// saveModel writes the model's state as a model file.
func saveModel(path string, states []State) error {
	var tensors []weights.Tensor
	for _, s := range states {
		tensors = append(tensors, weights.Tensor{Name: s.Name, Shape: s.Buffer.Shape(),
			Load: func(dst []float32) error { return s.Buffer.Read(dst) }})
	}
	return weights.Write(path, tensors, nil)
}

// fakeConfig is a caller's configuration.
type fakeConfig struct {
	Size int     `toml:"size"`
	Loss lossMix `toml:"loss"`
}

type lossMix struct {
	GAN  float64  `toml:"gan"`
	Used []string `toml:"used"`
}

// fakeRun is a run of 200 steps over the data in dir/data, in dir/run.
func fakeRun(dir string, d *Data) Options {
	return Options{
		Dir: filepath.Join(dir, "run"), Trainer: newFakeTrainer(), Data: d,
		Config: fakeConfig{8, lossMix{1.5, []string{"gan", "l1"}}},
		Steps:  200, Schedule: Schedule{LR: 0.02}, Frames: 4, Batch: 2, Seed: 11,
		CheckpointSteps: 20, SheetSteps: 50, SaveModel: saveModel,
	}
}

// The kill test runs in a process of its own, which is this test binary started
// again: TestMain calls helper where helperEnv names a folder.
const (
	helperEnv = "V2V_TRAIN_HELPER" // holds data/ and gets run/
	killEnv   = "V2V_TRAIN_KILL"   // kill yourself there: "step 97", "checkpoint 100"
)

// helper trains in dir, resuming what is there, and returns the exit code.
func helper(dir string) int {
	d, err := OpenData(context.Background(), filepath.Join(dir, "data"), DataOptions{Flip: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer d.Close()
	o := fakeRun(dir, d)
	o.Resume = true
	die := func(where string) {
		if os.Getenv(killEnv) == where {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	f := o.Trainer.(*fakeTrainer)
	f.before = func(step int, _ []float32) error { die(fmt.Sprint("step ", step)); return nil }
	o.SaveModel = func(path string, states []State) error {
		err := saveModel(path, states)
		die("model " + lastStep(o.Dir))
		return err
	}
	o.Events = func(e Event) {
		if c, ok := e.(CheckpointWritten); ok {
			die(fmt.Sprint("checkpoint ", c.Step))
		}
	}
	if _, err := Run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// lastStep is the step of the newest checkpoint.
func lastStep(dir string) string {
	names, _ := filepath.Glob(filepath.Join(dir, ckptDir, "*"))
	if len(names) == 0 {
		return ""
	}
	digits := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(names[len(names)-1]), "step-"), ".safetensors")
	return strings.TrimLeft(digits, "0")
}

// fakeData writes and opens a small data set in dir/data.
func fakeData(t *testing.T, dir string) *Data {
	t.Helper()
	writeData(t, filepath.Join(dir, "data"), "train_A", "train_B", 8, 6, 7, 9)
	return openData(t, filepath.Join(dir, "data"), DataOptions{Flip: true})
}
