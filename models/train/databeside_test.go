package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// TestInstanceMapsAreFed: a label picture stays one by its first byte, and
// differs where instances do, in the frames that samples have.
func TestInstanceMapsAreFed(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "train_A", "train_B", 8, 6, 4)
	writeClip(t, filepath.Join(dir, "train_inst", "a"), 8, 6, 0, 0)
	for i := range 4 {
		f := video.NewFrame(8, 6)
		for p := range 48 {
			id := byte(20*i + p%8/3)
			f.Pix[3*p], f.Pix[3*p+1], f.Pix[3*p+2] = id, id, id
		}
		if err := video.WritePNG(filepath.Join(dir, "train_inst", "a", fmt.Sprintf("%d.png", i)), f); err != nil {
			t.Fatal(err)
		}
	}
	d := openData(t, dir, DataOptions{Instances: true})
	s, err := d.Sample(t.Context(), 1, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	for at, f := range s.A {
		for p := range 48 {
			if got, want := f.Pix[3*p:3*p+3], []byte{byte(100 + p%8), 0, byte(20*at + p%8/3)}; !slices.Equal(got, want) {
				t.Fatalf("frame %d pixel %d is %v, want %v", at, p, got, want)
			}
		}
	}
	if plain, err := openData(t, dir, DataOptions{}).Sample(t.Context(), 1, 1, 4); err != nil || plain.A[2].Pix[2] != 0 || plain.A[2].Pix[1] != 2 {
		t.Errorf("instances are in pictures that want none: %v", err)
	}
	inst := filepath.Join(dir, "train_inst", "a")
	for _, c := range []struct {
		want  string
		spoil func() error
	}{
		{"train_A/a: 5 instance maps for 4 frames", func() error { return video.WritePNG(filepath.Join(inst, "4.png"), video.NewFrame(8, 6)) }},
		{"train_inst/a has only 3 instance maps", func() error {
			return errors.Join(os.Remove(filepath.Join(inst, "3.png")), os.Remove(filepath.Join(inst, "4.png")))
		}},
		{"0.png is 3x3, the label picture 8x6", func() error { return video.WritePNG(filepath.Join(inst, "0.png"), video.NewFrame(3, 3)) }},
		{"its instance maps", func() error { return os.RemoveAll(inst) }},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenData(t.Context(), dir, DataOptions{Instances: true}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.want, err)
		}
	}
}

// TestPartsAreDropped: each of the 24 parts is gone from a twentieth of the
// samples, from all their frames and with nothing else.
func TestPartsAreDropped(t *testing.T) {
	iuv := video.NewFrame(25, 2)
	for p := range 50 {
		if part := p % 25; part > 0 {
			iuv.Pix[3*p], iuv.Pix[3*p+1], iuv.Pix[3*p+2] = 9, 8, byte(part)
		}
	}
	body := video.NewFrame(25, 2)
	if err := labelmap.DensePose(body, iuv); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, side := range []string{"A", "B"} {
		writeClip(t, filepath.Join(dir, side, "a"), 25, 2, 0, 0)
		for i := range 2 {
			if err := video.WritePNG(filepath.Join(dir, side, "a", fmt.Sprintf("%d.png", i)), body); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := openData(t, dir, DataOptions{PartDrop: 0.05})
	const n = 4000
	var gone [25]int
	for i := range uint64(n) {
		s, err := d.Sample(t.Context(), i, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.A[0].Pix, s.A[1].Pix) || !slices.Equal(s.B[0].Pix, body.Pix) {
			t.Fatal("parts differ in a sample's frames, or real frames lost some")
		}
		for p := 1; p < 25; p++ {
			switch px := s.A[0].Pix[3*p : 3*p+3]; {
			case slices.Equal(px, []byte{0, 0, 0}):
				gone[p]++
			case !slices.Equal(px, body.Pix[3*p:3*p+3]):
				t.Fatalf("part %d became %v", p, px)
			}
		}
	}
	for part, k := range gone[1:] {
		if k < 131 || k > 269 { // five sigma of a binomial
			t.Errorf("part %d is gone from %d of %d samples, want about 200", part+1, k, n)
		}
	}
}
