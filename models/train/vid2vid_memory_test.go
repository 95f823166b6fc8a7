package train

import (
	"errors"
	"testing"

	"github.com/v2v/v2v/models/engine/devices"
)

// TestMemoryPlans: what is bound is all that a trainer allocates, and a step
// takes more the more it does.
func TestMemoryPlans(t *testing.T) {
	c := tinyVid2Vid()
	c.Generator.NGF, c.Generator.Blocks, c.D.NumD, c.D.Layers = 2, 1, 1, 1
	memory := func(change func(*Vid2VidConfig)) int64 {
		own := c
		change(&own)
		n, err := own.Memory(4)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	plain := memory(func(*Vid2VidConfig) {})
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, change := range map[string]func(*Vid2VidConfig){
		"plain":      func(*Vid2VidConfig) {},
		"chunk":      func(c *Vid2VidConfig) { c.Chunk, c.Backpropagate = 4, 4 },
		"accumulate": func(c *Vid2VidConfig) { c.Accumulate = 2 },
		"means":      func(c *Vid2VidConfig) { c.EMA = 0.9 },
		"size":       func(c *Vid2VidConfig) { c.Height *= 2 },
	} {
		t.Run(name, func(t *testing.T) {
			own, state := c, int64(0)
			change(&own)
			v, err := NewVid2Vid(d, own)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			for _, s := range v.State() {
				state += 4 * int64(s.Buffer.Shape().TotalSize())
			}
			got := memory(change)
			if name != "plain" && got <= plain {
				t.Errorf("%d bytes, %d without", got, plain)
			}
			if got < besides+state {
				t.Errorf("%d bytes, of which the state alone is %d", got-besides, state)
			}
		})
	}
}

// TestMemoryOfGrowth: what grows is planned where it takes most, of what a run
// reaches.
func TestMemoryOfGrowth(t *testing.T) {
	memory := func(back, most int, grows ...int) int64 {
		c := tinyVid2Vid()
		c.Generator.NGF, c.Generator.Blocks, c.D.NumD, c.D.Layers = 2, 1, 1, 1
		c.Chunk, c.Backpropagate, c.MaxBackpropagate, c.Grows = 4, back, most, grows
		n, err := c.Memory(7)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, c := range map[string][2]int64{
		"never":      {memory(0, 4), memory(1, 0)},
		"to two":     {memory(0, 4, 10), max(memory(1, 0), memory(2, 0))},
		"to four":    {memory(0, 4, 10, 20), max(memory(1, 0), memory(2, 0), memory(4, 0))},
		"not beyond": {memory(0, 2, 10, 20), max(memory(1, 0), memory(2, 0))},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d bytes, want %d", name, c[0], c[1])
		}
	}
	if memory(1, 0) == memory(4, 0) {
		t.Error("gradients through time take no memory")
	}
}

// TestFit: what was kept goes first, then the chunk, then the size, then the patience.
func TestFit(t *testing.T) {
	c := tinyVid2Vid()
	c.Generator.NGF, c.Generator.Blocks, c.D.NumD, c.D.Layers = 2, 1, 1, 1
	c.Chunk, c.Backpropagate, c.Height, c.Width = 4, 3, 48, 64
	at := func(change func(*Vid2VidConfig)) int64 {
		own := c
		change(&own)
		n, err := own.Memory(4)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, want := range map[string]func(*Vid2VidConfig){
		"as it is": func(*Vid2VidConfig) {},
		"again":    func(c *Vid2VidConfig) { c.Recompute = true },
		"half":     func(c *Vid2VidConfig) { c.Recompute, c.Chunk, c.Backpropagate = true, 2, 2 },
		"one":      func(c *Vid2VidConfig) { c.Recompute, c.Chunk, c.Backpropagate = true, 1, 1 },
		"smaller":  func(c *Vid2VidConfig) { c.Recompute, c.Chunk, c.Backpropagate, c.Height, c.Width = true, 1, 1, 44, 56 },
	} {
		t.Run(name, func(t *testing.T) {
			limit := at(want)
			got, err := c.Fit(limit, 4)
			own := c
			want(&own)
			if err != nil || got.Recompute != own.Recompute || got.Chunk != own.Chunk || got.Backpropagate != own.Backpropagate || got.Height != own.Height || got.Width != own.Width {
				t.Errorf("chunk %d, n_frames_bp %d, %dx%d: %v", got.Chunk, got.Backpropagate, got.Height, got.Width, err)
			}
		})
	}
	if _, err := c.Fit(besides, 4); !errors.Is(err, ErrMemory) {
		t.Errorf("nothing fits, and %v", err)
	}
}

// TestRecomputeTakesLess: of a step's memory a good part is what can be made again.
func TestRecomputeTakesLess(t *testing.T) {
	c := tinyVid2Vid()
	c.Generator.NGF, c.Generator.Blocks, c.Height, c.Width, c.Chunk, c.Backpropagate = 8, 4, 96, 96, 2, 2
	kept, err := c.Memory(4)
	if err != nil {
		t.Fatal(err)
	}
	c.Recompute = true
	again, err := c.Memory(4)
	if err != nil {
		t.Fatal(err)
	}
	if part := float64(again-besides) / float64(kept-besides); !(part < 0.9) {
		t.Errorf("%.2f of the memory, want less than 0.9", part)
	} else {
		t.Logf("%.2f of the memory", part)
	}
}
