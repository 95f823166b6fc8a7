package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
)

// houses is a sample: ground, and two objects of label 1 of some levels.
func houses(left, right byte) *Sample {
	const side = 32
	a, b := video.NewFrame(side, side), video.NewFrame(side, side)
	for i := range side * side {
		x, y := i%side, i/side
		switch {
		case y < 8 || x%16 < 4:
			copy(b.Pix[3*i:], []byte{90, 90, 90})
		case x < 16:
			copy(a.Pix[3*i:], []byte{1, 3, 232}) // instance 1000
			copy(b.Pix[3*i:], []byte{left, left, left})
		default:
			copy(a.Pix[3*i:], []byte{1, 3, 233})
			copy(b.Pix[3*i:], []byte{right, right, right})
		}
	}
	return &Sample{A: []*video.Frame{a}, B: []*video.Frame{b}}
}

// encoding is a trainer with an encoder that has seen some houses.
func encoding(t *testing.T, d engine.Device, steps int) (*Pix2Pix, []*Sample) {
	t.Helper()
	c := DefaultPix2Pix("pix2pixHD_global")
	c.D.NDF, c.D.Layers = 4, 2
	net := &models.Global{InputNC: 3, OutputNC: 3, NGF: 8, Downs: 1, Blocks: 1, Norm: "instance", LabelNC: 3, Edges: true, FeatNC: 2, NEF: 4, DownsE: 1}
	trainer, err := NewPix2Pix(d, Pairs{Net: net, Height: 32, Width: 32, Batch: 1, Seed: 3}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trainer.Close() })
	samples := []*Sample{houses(30, 220), houses(220, 30), houses(30, 30), houses(220, 220)}
	for k := range steps {
		if err := trainer.Train(t.Context(), samples[k%4:][:1], Rates{LR: 2e-3, Step: k}, func([]Loss) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := trainer.Cluster(t.Context(), samples); err != nil {
		t.Fatal(err)
	}
	return trainer, samples
}

// saved is the model file of a trainer.
func saved(t *testing.T, trainer *Pix2Pix) *models.Model {
	t.Helper()
	c, err := models.NewConfig("pix2pixHD_global", trainer.p.Net, models.About{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := models.Save(path, c, false, func(name string, dst []float32) error { return trainer.vars[name].Read(dst) }); err != nil {
		t.Fatal(err)
	}
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func styled(t *testing.T, d engine.Device, m *models.Model, s models.Style, control *video.Frame) *video.Frame {
	t.Helper()
	r := models.NewRunner(d, m, models.RunOptions{Style: s})
	defer r.Close()
	made := video.NewFrame(control.W, control.H)
	if _, _, err := r.Start(t.Context(), video.Info{Width: control.W, Height: control.H}); err != nil {
		t.Fatal(err)
	}
	if err := r.Generate(t.Context(), control, made); err != nil {
		t.Fatal(err)
	}
	return made
}

// TestInstancesTakeLooks: a trained model makes of the features of a real
// picture what training showed; what it draws is one of what it has seen, for
// each instance, and another seed draws others.
func TestInstancesTakeLooks(t *testing.T) {
	d := fast(t)
	trainer, samples := encoding(t, d, 240)
	m := saved(t, trainer)
	pictures, err := trainer.Render(t.Context(), samples[0])
	if err != nil {
		t.Fatal(err)
	}
	encoded := styled(t, d, m, models.Style{Real: func(context.Context) (*video.Frame, error) { return samples[0].B[0], nil }}, samples[0].A[0])
	for i, v := range pictures[1].Frame.Pix {
		if math.Abs(float64(v)-float64(encoded.Pix[i])) > 1 {
			t.Fatalf("byte %d is %d, in training it was %d", i, encoded.Pix[i], v)
		}
	}
	level := func(f *video.Frame, x int) int { return int(f.Pix[3*(20*32+x)]) }
	if l, r := level(encoded, 10), level(encoded, 26); l > 90 || r < 160 {
		t.Errorf("houses of 30 and 220 became %d and %d", l, r)
	}
	looks := map[[2]bool]bool{}
	for seed := range uint64(24) {
		made := styled(t, d, m, models.Style{Seed: seed}, samples[0].A[0])
		if !slices.Equal(made.Pix, styled(t, d, m, models.Style{Seed: seed}, samples[0].A[0]).Pix) {
			t.Fatalf("seed %d makes two pictures", seed)
		}
		looks[[2]bool{level(made, 10) > 125, level(made, 26) > 125}] = true
	}
	if len(looks) != 4 {
		t.Errorf("24 seeds made houses dark and bright as %v, want all four ways", looks)
	}
}

// TestClustersAreOfLabels: a label has as many clusters as it has looks, at most
// 10, and one that was never seen has none.
func TestClustersAreOfLabels(t *testing.T) {
	trainer, samples := encoding(t, fast(t), 8)
	counts, err := readAll(trainer.vars[models.ClusterCounts])
	if err != nil {
		t.Fatal(err)
	}
	// 8 houses, in 4 pictures whose ground has features of its own.
	if !slices.Equal(counts, []float32{4, 8, 0}) {
		t.Errorf("labels have %v clusters", counts)
	}
	table, err := readAll(trainer.vars[models.ClusterTable])
	if err != nil {
		t.Fatal(err)
	}
	all, err := trainer.instances(samples[1], 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		found := false
		for k := range int(counts[i.label]) {
			centre := table[(i.label*models.Clusters+k)*2:]
			found = found || math.Hypot(float64(centre[0])-i.feature[0], float64(centre[1])-i.feature[1]) < 1e-6
		}
		if !found {
			t.Errorf("no cluster of label %d is at %v", i.label, i.feature)
		}
	}
}
