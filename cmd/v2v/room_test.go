package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
	"github.com/v2v/v2v/video"
)

// smallCard is a device with memory of its own.
type smallCard struct {
	*ref.Device
	number int
	free   int64
}

func (c smallCard) Name() string               { return fmt.Sprintf("cuda:%d", c.number) }
func (c smallCard) FreeMemory() (int64, error) { return c.free, nil }

func TestSeats(t *testing.T) {
	for _, c := range []struct {
		workers int
		rooms   []int
		want    []int
	}{
		{4, []int{2}, []int{0, 0}},
		{4, []int{0}, []int{0}},
		{3, []int{9, 9}, []int{0, 1, 0}},
		{4, []int{1, 5}, []int{0, 1, 1, 1}},
		{4, []int{0, 1, 2}, []int{1, 2, 2}},
		{2, []int{0, 0}, []int{0}},
	} {
		if got := seats(c.workers, c.rooms); !slices.Equal(got, c.want) {
			t.Errorf("%d workers in %v: seats %v, want %v", c.workers, c.rooms, got, c.want)
		}
	}
}

// oneStill writes a clip of one picture.
func oneStill(t *testing.T, dir string, w, h int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := video.WritePNG(filepath.Join(dir, "000001.png"), video.NewFrame(w, h)); err != nil {
		t.Fatal(err)
	}
}

// seating is what a batch makes of --workers.
type seating struct {
	free    []int64 // of each card; none: a processor
	workers int
	want    []int
	say     string
}

func (c seating) check(t *testing.T, model *models.Model, dir string) {
	t.Helper()
	m := &machine{model: model, devs: []engine.Device{ref.Open()}}
	if c.free != nil {
		m.devs = nil
	}
	for i, free := range c.free {
		m.devs = append(m.devs, smallCard{ref.Open(), i, free})
	}
	var told bytes.Buffer
	a := &app{err: &told}
	o := batchOptions{out: filepath.Join(dir, "out"), workers: c.workers, overwrite: "stale", format: "png"}
	plan, err := o.plan(t.Context(), m, []string{filepath.Join(dir, "in")})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.seat(t.Context(), a, m, plan); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.seats, c.want) || told.String() != c.say {
		t.Errorf("seats %v, told %q; want %v, %q", m.seats, &told, c.want, c.say)
	}
	if want := len(c.want); want > 0 && o.workers != want || want == 0 && o.workers != c.workers {
		t.Errorf("%d workers", o.workers)
	}
	for worker := range o.workers {
		if c.want != nil && m.generator(worker).dev != m.devs[c.want[worker]] {
			t.Errorf("worker %d computes on %s", worker, m.generator(worker).dev.Name())
		}
	}
}

// TestWorkersFit: a card gets no more workers than its memory holds clips of the
// largest size, and the user is told; a processor as many as were asked for.
func TestWorkersFit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	if err := tinyModel(path, 1); err != nil {
		t.Fatal(err)
	}
	model, err := openModel(path)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	for i := range 5 {
		oneStill(t, filepath.Join(dir, "in", fmt.Sprint(i)), 32, 24)
	}
	oneStill(t, filepath.Join(dir, "in/large"), 512, 384)
	small, err := (&machine{model: model}).footprint(size{H: 24, W: 32})
	if err != nil {
		t.Fatal(err)
	}
	f, err := (&machine{model: model}).footprint(size{H: 384, W: 512})
	if err != nil {
		t.Fatal(err)
	}
	if f.clip < 100*small.clip || f.weights != small.weights || f.first != 0 {
		t.Fatalf("footprints %+v and %+v", small, f)
	}
	room := func(n int64) int64 { return f.weights + n*(f.clip+f.clip/4) + 1000 }
	for name, c := range map[string]seating{
		"two":        {[]int64{room(2)}, 4, []int{0, 0}, fmt.Sprintf("--workers 4: 2 fit the %d MB free on cuda:0\n", room(2)>>20)},
		"all":        {[]int64{room(4)}, 4, []int{0, 0, 0, 0}, ""},
		"a quarter":  {[]int64{room(5)}, 6, []int{0, 0, 0, 0, 0}, fmt.Sprintf("--workers 6: 5 fit the %d MB free on cuda:0\n", room(5)>>20)},
		"more clips": {[]int64{room(64)}, 64, []int{0, 0, 0, 0, 0, 0}, ""},
		"none":       {[]int64{1 << 20}, 2, []int{0}, "--workers 2: 0 fit the 1 MB free on cuda:0\n"},
		"one asked":  {[]int64{1 << 20}, 1, nil, ""},
		"two cards":  {[]int64{room(1), room(2)}, 4, []int{0, 1, 1}, fmt.Sprintf("--workers 4: 1 fits the %d MB free on cuda:0, 2 fit the %d MB free on cuda:1\n", room(1)>>20, room(2)>>20)},
		"processor":  {nil, 4, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.check(t, model, dir)
		})
	}
}

// TestHeld: what fusing has left unmade takes no memory.
func TestHeld(t *testing.T) {
	value := func(role engine.Role, n int) engine.Value {
		return engine.Value{Shape: tensor.Shape{1, 1, 1, n}, Role: role, Alias: -1}
	}
	p := engine.Program{Values: []engine.Value{value(engine.Input, 16), value(engine.Temporary, 1<<20), value(engine.Temporary, 32), value(engine.Temporary, 64)},
		Code: []engine.Instr{{Op: op.Scale{By: 2}, In: []int{0}, Out: 2}, {Op: op.Scale{By: 2}, In: []int{2}, Out: 3}}}
	p.Values[3].Output = true
	if got := held(&p); got != 4*(16+32+64) {
		t.Errorf("%d bytes are held, want %d", got, 4*(16+32+64))
	}
}
