package train

import (
	"slices"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
)

// TestVid2VidStateIsAll: a trainer that is given another's state goes on as
// that one does, counters of optimisers and the end of fix_global included.
func TestVid2VidStateIsAll(t *testing.T) {
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	scales, chunks := goldenVid2Vid("hinge"), tinyVid2Vid()
	scales.FixGlobal = 8
	chunks.Generator.Blocks, chunks.D.NumD, chunks.D.Scales = 1, 1, 2
	chunks.Chunk, chunks.Backpropagate, chunks.Accumulate, chunks.EMA = 3, 3, 2, 0.9
	chunks.D.Norm, chunks.D.Spectral = "none", true
	scales.R1, scales.R1Every, chunks.R1, chunks.R1Every = 10, 1, 10, 2
	growing := goldenVid2Vid("")
	growing.Generator.FG, growing.Generator.FGLabels, growing.Generator.LabelNC, growing.Generator.Edges = false, nil, 0, false
	growing.Chunk, growing.MaxBackpropagate, growing.Grows, growing.FixGlobal = 3, 3, []int{2, 4}, 3
	for name, c := range map[string]Vid2VidConfig{"a frame a step": scales, "chunks": chunks, "growing": growing} {
		t.Run(name, func(t *testing.T) { stateIsAll(t, d, c) })
	}
}

func stateIsAll(t *testing.T, d engine.Device, c Vid2VidConfig) {
	var pair [2]*Vid2Vid
	var err error
	for i := range pair {
		if pair[i], err = NewVid2Vid(d, c); err != nil {
			t.Fatal(err)
		}
		defer pair[i].Close()
	}
	s := noiseSample(c.Height, c.Width, 8)
	round := func(v *Vid2Vid, step int) (all []Loss) {
		err := v.Train(t.Context(), []*Sample{s}, Rates{LR: 1e-3, Step: step}, func(l []Loss) error {
			all = append(all, l...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := round(pair[0], 0)
	for i, from := range pair[0].State() {
		to := pair[1].State()[i]
		x, err := readAll(from.Buffer)
		if err != nil || from.Name != to.Name {
			t.Fatalf("state %s beside %s: %v", from.Name, to.Name, err)
		}
		if err := to.Buffer.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	next := pair[0].Steps(8)
	want, got := round(pair[0], next), round(pair[1], next)
	if !slices.Equal(want, got) {
		t.Errorf("resumed losses %v, unbroken %v", got, want)
	}
	if slices.Equal(first, want) {
		t.Error("nothing was learned")
	}
}
