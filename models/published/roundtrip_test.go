package published

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
)

// python runs testdata/roundtrip.py with Debian's Python.
func python(t *testing.T, args ...string) string {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	if out, err := exec.Command(interpreter, "-c", "import numpy, torch").CombinedOutput(); err != nil {
		t.Skipf("python3-torch is missing: %s", out)
	}
	out, err := exec.Command(interpreter, append([]string{"-B", "-W", "ignore", "testdata/roundtrip.py"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// saved by PyTorch, as cases.json tells.
type saving struct {
	Name, Network, Path string
	Options             map[string]any
}

func openDevices(t *testing.T) []engine.Device {
	t.Helper()
	var ds []engine.Device
	for _, name := range []string{"ref", "cpu"} {
		d, err := devices.Open(name, devices.Options{Threads: 1})
		if errors.Is(err, engine.ErrUnsupported) {
			t.Logf("device %s: %v", name, err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		ds = append(ds, d)
	}
	return ds
}

// TestRoundTrip imports what PyTorch has saved, in every format, type and
// layout: the options and the weights are the same, so is what the network
// makes, on every device; and what is exported loads strictly in PyTorch again.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	python(t, "make", dir)
	raw, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []saving
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	ds := openDevices(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			model := filepath.Join(dir, c.Name+".model.safetensors")
			o := Options{}
			if c.Options["norm_stats"] == "running" {
				o.NormStats = "running"
			}
			got, err := Import(t.Context(), filepath.Join(dir, c.Path), model, o)
			if err != nil {
				t.Fatal(err)
			}
			sameOptions(t, c, got)
			f, err := weights.Open(filepath.Join(dir, c.Name+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m, err := models.Open(model)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			sameWeights(t, m, f)
			for _, d := range ds {
				sameOutputs(t, d, m, f)
			}
			if _, err := Export(t.Context(), model, filepath.Join(dir, c.Name, "export")); err != nil {
				t.Fatal(err)
			}
		})
	}
	if t.Failed() {
		return
	}
	if out := python(t, "check", dir); strings.Count(out, "\n") != len(cases) {
		t.Errorf("not every case was checked:\n%s", out)
	}
}

func sameOptions(t *testing.T, c saving, got Imported) {
	t.Helper()
	raw, err := json.Marshal(got.Net)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]any{}
	if err := json.Unmarshal(raw, &have); err != nil {
		t.Fatal(err)
	}
	if got.Network != c.Network {
		t.Errorf("recognised %s", got.Network)
	}
	for name, want := range c.Options {
		v := have[name]
		switch want.(type) { // what is zero is left out
		case bool:
			v, _ = v.(bool)
		case float64:
			v, _ = v.(float64)
		}
		if local := name == "n_blocks_local" && have["n_scales_spatial"] == 1.0; !local && fmt.Sprint(v) != fmt.Sprint(want) {
			if name == "fg_labels" && have["fg"] == nil {
				continue
			}
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}

// numbers is a tensor of a file.
func numbers(t *testing.T, f *weights.File, name string) []float32 {
	t.Helper()
	info, ok := f.Info(name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	x := make([]float32, info.Elements())
	if err := f.Float32(name, x); err != nil {
		t.Fatal(err)
	}
	return x
}

func sameWeights(t *testing.T, m *models.Model, f *weights.File) {
	t.Helper()
	params, err := models.Parameters(m.Net)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range params {
		want := numbers(t, f, "state."+p.Name)
		got := make([]float32, len(want))
		if err := m.Weight(p.Name, got); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s[%d] is %g, want %g", p.Name, i, got[i], want[i])
			}
		}
	}
}

// graph is the program of a network on the inputs that a file has.
func graph(t *testing.T, m *models.Model, f *weights.File) *engine.Program {
	t.Helper()
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	input := func(name string) *G.Node {
		info, ok := f.Info("in." + name)
		if !ok {
			return nil
		}
		return b.Input(name, info.Shape...)
	}
	in := models.Inputs{Labels: input("labels"), Prev: input("prev"), Features: input("features")}
	for l := 1; l < m.Net.Needs().Scales; l++ {
		in.Coarse = append(in.Coarse, input(fmt.Sprint("prev.", l)))
	}
	out := m.Net.Build(b, in)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	params := map[string]bool{}
	for _, p := range b.Params() {
		params[p.Name] = true
	}
	src := engine.Source{Constant: func(name string) bool { return params[name] }}
	if out.Final != nil {
		src.Outputs = append(src.Outputs, engine.Named{Name: "final", Node: out.Final})
	}
	for i, s := range out.Scores {
		src.Outputs = append(src.Outputs, engine.Named{Name: fmt.Sprint("score", i), Node: s})
	}
	p, err := engine.Lower(src)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sameOutputs(t *testing.T, d engine.Device, m *models.Model, f *weights.File) {
	t.Helper()
	p := graph(t, m, f)
	exe, err := d.Compile(p, engine.Options{Constants: m.Weight})
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for _, name := range f.Names() {
		in, ok := strings.CutPrefix(name, "in.")
		if !ok {
			continue
		}
		info, _ := f.Info(name)
		buf, err := d.Alloc(info.Shape, engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer buf.Close()
		if err := errors.Join(buf.Write(numbers(t, f, name)), exe.Bind(in, buf)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exe.Run(); err != nil {
		t.Fatal(err)
	}
	for i, v := range p.Outputs {
		want := numbers(t, f, "out."+p.Values[v].Name)
		got := make([]float32, len(want))
		if err := exe.Output(i).Read(got); err != nil {
			t.Fatal(err)
		}
		var worst float64
		for k := range want {
			if diff := math.Abs(float64(got[k] - want[k])); !(diff <= worst) {
				worst = diff
			}
		}
		if !(worst < 1e-3) {
			t.Errorf("%s: %s differs from PyTorch by %g", d.Name(), p.Values[v].Name, worst)
		}
	}
}
