package train

import (
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/pose"
)

// looking is a face of 68 landmarks, 30 pixels wide around (40+dx,30).
func looking(dx float64) *pose.Landmarks {
	var l pose.Landmarks
	n := 0
	arc := func(count int, cx, cy, rx, ry, from, to float64) {
		for i := range count {
			a := (from + (to-from)*float64(i)/float64(max(1, count-1))) * math.Pi / 180
			l[n] = pose.Point{X: 40 + dx + cx + rx*math.Cos(a), Y: 30 + cy + ry*math.Sin(a), C: 1}
			n++
		}
	}
	arc(17, 0, 0, 15, 18, 180, 0)
	arc(5, -7, -4, 5, 3, 200, 340)
	arc(5, 7, -4, 5, 3, 200, 340)
	arc(4, 0, 3, 0, 3, 270, 90)
	arc(5, 0, 8, 3, 2, 180, 0)
	arc(6, -7, 1, 3, 2, 180, 480)
	arc(6, 7, 1, 3, 2, 180, 480)
	arc(12, 0, 13, 6, 3, 180, 510)
	arc(8, 0, 13, 4, 1, 180, 495)
	return &l
}

const faceW, faceH = 96, 80

// writeFaces makes a clip of n frames in which a face moves to the right.
func writeFaces(t *testing.T, dir string, n int) {
	t.Helper()
	writeClip(t, filepath.Join(dir, "train_img", "a"), faceW, faceH, 0, n)
	points := filepath.Join(dir, "train_keypoints", "a")
	if err := os.MkdirAll(points, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(points, fmt.Sprintf("%03d.txt", i)), looking(float64(i)).Text(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// written is a face as its file has it.
func written(t *testing.T, dir string, i int) *pose.Landmarks {
	t.Helper()
	l, err := pose.ReadLandmarks(filepath.Join(dir, "train_keypoints", "a", fmt.Sprintf("%03d.txt", i)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestFacesAreDrawnForEverySample: 15 planes, and the parts where instances are
// wanted, of the face as the picture shows it.
func TestFacesAreDrawnForEverySample(t *testing.T) {
	dir := t.TempDir()
	writeFaces(t, dir, 4)
	for _, c := range []struct {
		name  string
		o     DataOptions
		tiles int
	}{
		{"15 planes", DataOptions{Face: &FaceData{}}, 5},
		{"and the parts", DataOptions{Face: &FaceData{}, Beside: true}, 6},
		{"curves alone", DataOptions{Face: &FaceData{Flat: true}}, 1},
		{"cut out", DataOptions{Face: &FaceData{}, Crop: image.Pt(64, 48)}, 5},
		{"cut out and mirrored", DataOptions{Face: &FaceData{}, Crop: image.Pt(64, 48), Flip: true}, 5},
		{"larger", DataOptions{Face: &FaceData{}, Scaling: Scaling{Mode: "resize", Load: 128, Fine: 128}}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openData(t, dir, c.o)
			w, h := d.Size()
			for n := range uint64(4) {
				s, err := d.Sample(t.Context(), n, 1, 3)
				if err != nil {
					t.Fatal(err)
				}
				at, flip := image.Point{}, false
				if !c.o.Scaling.on() {
					at, flip = corner(s.B[0])
				}
				for i, f := range s.A {
					l := written(t, dir, s.Start+i)
					if c.o.Scaling.on() {
						l.Scale(faceW, faceH, w, h)
					}
					l.Shift(-float64(at.X), -float64(at.Y))
					if flip {
						l.Mirror(w)
					}
					m, err := pose.FaceMaps(l, w, h)
					if err != nil {
						t.Fatal(err)
					}
					want := m.Packed().Pix
					if c.tiles == 1 {
						want = m.EdgeFrame().Pix
					} else if c.tiles == 6 {
						want = append(want, m.PartFrame().Pix...)
					}
					if f.W != w || f.H != h*c.tiles || !slices.Equal(f.Pix, want) {
						t.Errorf("sample %d frame %d is not the face, %dx%d", n, i, f.W, f.H)
					}
				}
			}
		})
	}
}

// TestSquareAboutTheFace: it is cut out of all frames of a clip alike, faces move
// with it.
func TestSquareAboutTheFace(t *testing.T) {
	dir := t.TempDir()
	writeFaces(t, dir, 3)
	d := openData(t, dir, DataOptions{Face: &FaceData{Square: true}})
	// 30 pixels of face: a square of 75 about (40,25), moved into the picture.
	if w, h := d.Size(); w != 75 || h != 75 {
		t.Fatalf("samples are %dx%d, want 75x75", w, h)
	}
	s, err := d.Sample(t.Context(), 0, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b := s.B[2].At(10, 20); r != 13 || g != 2 || b != 20 {
		t.Errorf("pixel (10,20) of the last frame is from (%d,%d) of frame %d, want (13,20) of 2", r, b, g)
	}
	l := written(t, dir, 2)
	l.Shift(-3, 0)
	m, err := pose.FaceMaps(l, 75, 75)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.A[2].Pix, m.Packed().Pix) {
		t.Error("the last face is not where the square shows it")
	}
}

// TestPartsOfFacesAreScaled: up to a tenth, each by itself, all frames alike, and
// not in what a person looks at.
func TestPartsOfFacesAreScaled(t *testing.T) {
	dir := t.TempDir()
	writeFaces(t, dir, 2)
	d := openData(t, dir, DataOptions{Face: &FaceData{Rescale: true}})
	low, high := [2]float64{2, 2}, [2]float64{}
	for n := range uint64(200) {
		l := d.look(newRand(n))
		for _, by := range l.scale {
			for k, x := range by {
				low[k], high[k] = min(low[k], x), max(high[k], x)
			}
		}
	}
	for k := range low {
		if low[k] < 0.9 || low[k] > 0.91 || high[k] > 1.1 || high[k] < 1.09 {
			t.Errorf("parts become %.3f to %.3f times as large, want 0.9 to 1.1", low[k], high[k])
		}
	}
	face, by := looking(0), [pose.ScaledParts][2]float64{{1, 1}, {1, 1}, {1, 1}, {2, 1}, {1, 1}}
	face.Rescale(by)
	plain := looking(0)
	for i := range face {
		of := i >= 36 && i < 48
		if moved := math.Abs(face[i].X-plain[i].X) > 1e-9; moved && !of || face[i].Y != plain[i].Y && math.Abs(face[i].Y-plain[i].Y) > 1e-9 {
			t.Errorf("landmark %d moved from %v to %v, eyes alone are wider", i, plain[i], face[i])
		}
	}
	if got, want := face[39].X-face[36].X, 2*(plain[39].X-plain[36].X); math.Abs(got-want) > 1e-9 {
		t.Errorf("an eye is %g wide, want %g", got, want)
	}
	s, err := d.Sample(t.Context(), 1, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := d.Spread(t.Context(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := pose.FaceMaps(written(t, dir, 0), faceW, faceH)
	if slices.Equal(s.A[0].Pix, m.Packed().Pix) || !slices.Equal(shown[0].A[0].Pix, m.Packed().Pix) {
		t.Error("a training sample is not changed, or what is shown is")
	}
}

// TestEdgesAroundFaces: they are those of the sample's own frame, beside the face.
func TestEdgesAroundFaces(t *testing.T) {
	dir := t.TempDir()
	writeFaces(t, dir, 2)
	o := &FaceData{Edges: func(dst, src *video.Frame) error {
		for i := 0; i < len(src.Pix); i += 3 {
			dst.Pix[i] = 10 * (1 + src.Pix[i+1]) // by the number of the frame
		}
		return nil
	}}
	s, err := openData(t, dir, DataOptions{Face: o}).Sample(t.Context(), 0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range s.A {
		m, _ := pose.FaceMaps(written(t, dir, i), faceW, faceH)
		for p, part := range m.Part {
			want := m.Plane(pose.EdgePlane)[p]
			if part == pose.NoPart {
				want = max(want, byte(10*(1+i)))
			}
			if f.Pix[3*p] != want {
				t.Fatalf("frame %d pixel %d is %d, want %d", i, p, f.Pix[3*p], want)
			}
		}
	}
}

// TestInstancesBesideColours: the maps are the last picture of a control frame, cut
// out as the others are, and not mixed.
func TestInstancesBesideColours(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "train_A", "train_B", 12, 10, 3)
	inst := filepath.Join(dir, "train_inst", "a")
	if err := os.MkdirAll(inst, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		f := video.NewFrame(12, 10)
		for p := range 120 {
			id := byte(50*i + p%12)
			f.Pix[3*p], f.Pix[3*p+1], f.Pix[3*p+2] = id, id, id
		}
		if err := video.WritePNG(filepath.Join(inst, fmt.Sprintf("%d.png", i)), f); err != nil {
			t.Fatal(err)
		}
	}
	d := openData(t, dir, DataOptions{Beside: true, Crop: image.Pt(8, 6), Flip: true})
	for n := range uint64(5) {
		s, err := d.Sample(t.Context(), n, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range s.A {
			if f.W != 8 || f.H != 12 {
				t.Fatalf("a control frame is %dx%d, want 8x12", f.W, f.H)
			}
			if !slices.Equal(s.Input(i).Pix, f.Pix[:3*48]) {
				t.Fatal("instances are shown")
			}
			for p := range 48 {
				if x, id := s.B[i].Pix[3*p], f.Pix[3*(48+p)+2]; id != byte(50*i)+x || f.Pix[3*p] != 100+x {
					t.Fatalf("sample %d frame %d pixel %d shows column %d, instance %d", n, i, p, x, id)
				}
			}
		}
	}
	for _, c := range []struct {
		want  string
		spoil func() error
	}{
		{"train_inst/a: 4 instance maps for 3 frames", func() error { return video.WritePNG(filepath.Join(inst, "3.png"), video.NewFrame(12, 10)) }},
		{"0.png is 3x3, the frame 12x10", func() error {
			return errors.Join(os.Remove(filepath.Join(inst, "3.png")), video.WritePNG(filepath.Join(inst, "0.png"), video.NewFrame(3, 3)))
		}},
		{"train_inst/a: its .png files: no such file", func() error { return os.RemoveAll(inst) }},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenData(t.Context(), dir, DataOptions{Beside: true}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.want, err)
		}
	}
}
