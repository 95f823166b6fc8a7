package train

import (
	"math"
	"slices"
	"testing"

	"github.com/v2v/v2v/models/engine"
)

// TestBackpropagationGrows: over how many frames of a chunk gradients go back,
// and in which order that comes together with the scales that learn.
func TestBackpropagationGrows(t *testing.T) {
	for name, c := range map[string]struct {
		chunk, fixed, most, fix int
		grows                   []int
		want                    []int // at steps 0 to 7
		phases                  []phase
	}{
		"none":            {chunk: 4, want: []int{1, 1, 1, 1, 1, 1, 1, 1}, phases: []phase{{back: 1}}},
		"one number":      {chunk: 4, fixed: 3, want: []int{3, 3, 3, 3, 3, 3, 3, 3}, phases: []phase{{back: 3}}},
		"to the most":     {chunk: 8, most: 3, grows: []int{2, 4, 6}, want: []int{1, 1, 2, 2, 3, 3, 3, 3}, phases: []phase{{back: 1}, {back: 2}, {back: 3}}},
		"to the chunk":    {chunk: 4, most: 9, grows: []int{2, 4, 6}, want: []int{1, 1, 2, 2, 4, 4, 4, 4}, phases: []phase{{back: 1}, {back: 2}, {back: 4}}},
		"frame by frame":  {chunk: 1, most: 4, grows: []int{2, 4}, want: []int{1, 1, 1, 1, 1, 1, 1, 1}, phases: []phase{{back: 1}}},
		"none is reached": {chunk: 4, most: 4, want: []int{1, 1, 1, 1, 1, 1, 1, 1}, phases: []phase{{back: 1}}},
		"with new scales": {chunk: 4, most: 4, fix: 3, grows: []int{2, 4}, want: []int{1, 1, 2, 2, 4, 4, 4, 4},
			phases: []phase{{true, 1}, {false, 2}, {true, 2}, {false, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := Vid2VidConfig{Chunk: c.chunk, Backpropagate: c.fixed, MaxBackpropagate: c.most, Grows: c.grows, FixGlobal: c.fix}
			var got []int
			for step := range c.want {
				got = append(got, v.back(step))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("over %v frames, want %v", got, c.want)
			}
			if got := v.phases(); !slices.Equal(got, c.phases) {
				t.Errorf("phases %v, want %v", got, c.phases)
			}
		})
	}
}

// TestGrowing trains across the step at which gradients grow: programs appear
// when they are needed, those left behind go, and what learns through time alone
// begins with steps of the learning rate, as Adam's first do.
func TestGrowing(t *testing.T) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		const rate, grown = 1e-3, 1000
		c := goldenVid2Vid("")
		c.Generator.FG, c.Generator.FGLabels, c.Generator.LabelNC, c.Generator.Edges = false, nil, 0, false
		c.Chunk, c.MaxBackpropagate, c.Grows = 2, 2, []int{grown}
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		const late = "model_final_img.1.weight" // of the coarse scale
		if v.vars[late+".gtadam_m"] == nil || v.vars[late+".adam_m"] != nil {
			t.Fatalf("%s does not learn through time alone", late)
		}
		compiled := func() (n map[int]int) {
			n = map[int]int{}
			for k, s := range v.g {
				if s.exe != nil {
					n[k.back]++
				}
			}
			return n
		}
		before, err := readAll(v.vars[late])
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{grown - 2, grown} { // of a first chunk and another
			err := v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 4)}, Rates{LR: rate, Step: step}, func([]Loss) error {
				now, err := readAll(v.vars[late])
				off := 0.0
				for i := range now {
					off = max(off, math.Abs(float64(now[i]-before[i])))
				}
				before = now
				if step < grown && off != 0 {
					t.Errorf("it moves by %g before gradients grow", off)
				}
				if step == grown && !(off > 0.2*rate && off < 1.5*rate) {
					t.Errorf("it moves by %g, at a learning rate of %g", off, rate)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			n := compiled()
			if want := v.c.back(step); len(n) != 1 || n[want] != 2 {
				t.Errorf("at step %d programs of %v, want 2 of %d frames", step, n, want)
			}
		}
	})
}
