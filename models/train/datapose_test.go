package train

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
	"github.com/v2v/v2v/video/pose"
)

// standing is a person of BODY_25 in a picture of 64x64, moved by so much.
func standing(dx float64) pose.Person {
	var p pose.Person
	for i, at := range [pose.BodyPoints][2]float64{
		{32, 12}, {32, 18}, {27, 19}, {21, 25}, {16, 30}, {37, 19}, {43, 25}, {48, 30}, {32, 34},
		{29, 34}, {27, 45}, {26, 56}, {35, 34}, {37, 45}, {38, 56},
		{30, 11}, {34, 11}, {28, 12}, {36, 12},
		{41, 60}, {42, 59}, {37, 58}, {23, 60}, {22, 59}, {27, 58},
	} {
		p.Body[i] = pose.Point{X: at[0] + dx, Y: at[1], C: 0.9}
	}
	return p
}

const poseSide = 64

// writePoses makes a clip of n frames in which a person walks to the right: parts
// of DensePose that are stripes, keypoints, and real frames.
func writePoses(t *testing.T, dir, part string, n int) {
	t.Helper()
	writeClip(t, filepath.Join(dir, part+"_img", "a"), poseSide, poseSide, 0, n)
	iuv := video.NewFrame(poseSide, poseSide)
	for i := range poseSide * poseSide {
		if k := i % poseSide % 25; k > 0 {
			iuv.Pix[3*i], iuv.Pix[3*i+1], iuv.Pix[3*i+2] = 7, 9, byte(k)
		}
	}
	for _, side := range []string{denseSide, openSide} {
		if err := os.MkdirAll(filepath.Join(dir, part+"_"+side, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if err := video.WritePNG(filepath.Join(dir, part+"_densepose", "a", fmt.Sprintf("%03d_IUV.png", i)), iuv); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, part+"_openpose", "a", fmt.Sprintf("%03d_keypoints.json", i))
		if err := os.WriteFile(file, pose.Format([]pose.Person{standing(float64(i))}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tileOf is one of two pictures below one another.
func tileOf(f *video.Frame, k int) *video.Frame {
	h := f.H / 2
	return &video.Frame{W: f.W, H: h, Pix: f.Pix[3*k*h*f.W:][:3*h*f.W]}
}

// TestPosesAreDrawnForEverySample: six channels, DensePose's parts spread over a
// byte, and below them the person as the keypoints say.
func TestPosesAreDrawnForEverySample(t *testing.T) {
	dir := t.TempDir()
	writePoses(t, dir, "train", 4)
	d := openData(t, dir, DataOptions{Pose: &PoseData{Dense: true, Open: true}, Flip: true})
	if got, want := d.Memory(), int64(4*(2*3*poseSide*poseSide+24*pose.BodyPoints)); got != want {
		t.Errorf("the data take %d bytes, want %d", got, want)
	}
	for n := range uint64(6) {
		s, err := d.Sample(t.Context(), n, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range s.A {
			if f.W != poseSide || f.H != 2*poseSide {
				t.Fatalf("a control frame is %dx%d", f.W, f.H)
			}
			dense := tileOf(f, 0)
			if got := dense.Pix[3*24 : 3*24+3]; !slices.Equal(got, []byte{7, 9, 255}) {
				t.Errorf("part 24 is %v: mirrored, or not spread", got)
			}
			want := video.NewFrame(poseSide, poseSide)
			pose.Draw(want, []pose.Person{standing(float64(s.Start + i))}, pose.Options{})
			if got := tileOf(f, 1); !slices.Equal(got.Pix, want.Pix) {
				t.Errorf("sample %d frame %d does not show its person", n, i)
			}
			for k, v := range s.Input(i).Pix {
				if v != max(dense.Pix[k], want.Pix[k]) {
					t.Fatalf("sample %d frame %d is not shown as both pictures", n, i)
				}
			}
		}
	}
}

// TestPosesFollowTheView: a person is drawn where its part of the picture is, in
// the sample's size, and mirrored with left and right exchanged.
func TestPosesFollowTheView(t *testing.T) {
	dir := t.TempDir()
	writePoses(t, dir, "train", 2)
	joint := func(i int) image.Point { p := standing(0).Body[i]; return image.Pt(int(p.X), int(p.Y)) }
	wrists := [2]image.Point{joint(4), joint(7)} // right, left
	colors := [2][3]byte{{255, 255, 0}, {0, 255, 0}}
	o := DataOptions{Pose: &PoseData{Open: true}, Flip: true, Crop: image.Pt(56, 48)}
	d := openData(t, dir, o)
	mirrored := 0
	for n := range uint64(12) {
		s, err := d.Sample(t.Context(), n, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		at, flip := corner(s.B[0])
		for k, w := range wrists {
			x, color := w.X-at.X, colors[k]
			if flip {
				x, color = 56-1-x, colors[1-k]
			}
			if x < 1 || x > 54 || w.Y-at.Y < 1 || w.Y-at.Y > 46 || s.Start > 0 {
				continue
			}
			r, g, b := s.A[0].At(x, w.Y-at.Y)
			if [3]byte{r, g, b} != color {
				t.Errorf("sample %d, cut at %v, flipped %v: wrist %d is %v, want %v", n, at, flip, k, [3]byte{r, g, b}, color)
			}
		}
		if flip {
			mirrored++
		}
	}
	if mirrored == 0 || mirrored == 12 {
		t.Errorf("%d of 12 samples are mirrored", mirrored)
	}
	big := openData(t, dir, DataOptions{Pose: &PoseData{Open: true}, Scaling: Scaling{Mode: "resize", Load: 128, Fine: 128}})
	s, err := big.Sample(t.Context(), 0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	want, p := video.NewFrame(128, 128), standing(0)
	p.Scale(poseSide, poseSide, 128, 128)
	pose.Draw(want, []pose.Person{p}, pose.Options{})
	if !slices.Equal(s.A[0].Pix, want.Pix) {
		t.Error("a person in a picture twice the size is not drawn in that")
	}
}

// corner is where a frame of writeClip was cut out, by its own pixels.
func corner(f *video.Frame) (at image.Point, flip bool) {
	left, _, y := f.At(0, 0)
	right, _, _ := f.At(f.W-1, 0)
	return image.Pt(int(min(left, right)), int(y)), right < left
}

// newRand is the n-th source of random numbers.
func newRand(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 1)) }

// deviation is the root of the mean square.
func deviation(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x * x
	}
	return math.Sqrt(sum / float64(len(xs)))
}

// TestLimbsAreDropped: each from so many samples.
func TestLimbsAreDropped(t *testing.T) {
	dir := t.TempDir()
	writePoses(t, dir, "train", 3)
	d := openData(t, dir, DataOptions{Pose: &PoseData{Dense: true, Open: true, Drop: 0.25}})
	const samples = 400
	count := map[string]int{}
	for n := range uint64(samples) {
		l := d.look(newRand(n))
		for i, gone := range l.without.Limbs {
			if gone {
				count[fmt.Sprint("limb ", i)]++
			}
		}
		for name, gone := range map[string]bool{"left": l.without.Left, "right": l.without.Right, "face": l.without.Face, "part 3": l.gone[3*255/24+1]} {
			if gone {
				count[name]++
			}
		}
	}
	if len(count) != pose.BodyLimbs+4 {
		t.Errorf("%d things are left out at times", len(count))
	}
	for name, n := range count {
		if n < samples/4-40 || n > samples/4+40 {
			t.Errorf("%s is left out of %d of %d samples, want about %d", name, n, samples, samples/4)
		}
	}
}

// TestDroppedLimbsStayAway: a sample lacks the same in all its frames, and again
// when it is drawn again; nothing is left out of what is held out.
func TestDroppedLimbsStayAway(t *testing.T) {
	dir := t.TempDir()
	writePoses(t, dir, "train", 3)
	writePoses(t, dir, "test", 3)
	o := DataOptions{Pose: &PoseData{Dense: true, Open: true, Drop: 0.25}}
	d, whole := openData(t, dir, o), openData(t, dir, DataOptions{Pose: &PoseData{Dense: true, Open: true}})
	changed := 0
	for n := range uint64(8) {
		a, err := d.Sample(t.Context(), n, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := d.Sample(t.Context(), n, 1, 3)
		full, _ := whole.Sample(t.Context(), n, 1, 3)
		var missing [3]map[[3]byte]bool
		for i, f := range a.A {
			if !slices.Equal(f.Pix, again.A[i].Pix) {
				t.Fatalf("sample %d differs when it is drawn again", n)
			}
			missing[i] = colorsGone(tileOf(full.A[i], 1), tileOf(f, 1))
			if !slices.Equal(f.Pix, full.A[i].Pix) {
				changed++
			}
		}
		if fmt.Sprint(missing[0]) != fmt.Sprint(missing[2]) {
			t.Errorf("sample %d lacks %v at first and %v at last", n, missing[0], missing[2])
		}
	}
	if changed < 20 {
		t.Errorf("only %d of 24 frames lack anything", changed)
	}
	o.Split = TestSplit
	held, err := openData(t, dir, o).Sample(t.Context(), 0, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	full, _ := whole.Spread(t.Context(), 1, 3)
	if !slices.Equal(held.A[0].Pix, full[0].A[0].Pix) {
		t.Error("something is left out of what is held out")
	}
}

// colorsGone are the colours of one picture that another has not.
func colorsGone(of, in *video.Frame) map[[3]byte]bool {
	gone := map[[3]byte]bool{}
	for i := 0; i < len(of.Pix); i += 3 {
		gone[[3]byte(of.Pix[i:])] = true
	}
	for i := 0; i < len(in.Pix); i += 3 {
		delete(gone, [3]byte(in.Pix[i:]))
	}
	return gone
}

// TestHeadsAreRestless: remove_face_labels takes the head out of DensePose's
// pictures, those held out too, and moves that of OpenPose in training alone.
func TestHeadsAreRestless(t *testing.T) {
	dir := t.TempDir()
	writePoses(t, dir, "train", 2)
	writePoses(t, dir, "test", 2)
	pd := &PoseData{Dense: true, Open: true, Faceless: true}
	for _, split := range []Split{TrainSplit, TestSplit} {
		s, err := openData(t, dir, DataOptions{Pose: pd, Split: split}).Sample(t.Context(), 0, 5, 2)
		if err != nil {
			t.Fatal(err)
		}
		dense := tileOf(s.A[0], 0)
		for part := 1; part <= labelmap.BodyParts; part++ {
			if got, want := dense.Pix[3*part+1] == 0, part >= 23; got != want {
				t.Errorf("%q: part %d is gone: %v", split, part, got)
			}
		}
		plain := video.NewFrame(poseSide, poseSide)
		pose.Draw(plain, []pose.Person{standing(0)}, pose.Options{})
		drawn, feet := tileOf(s.A[0], 1), 3*poseSide*40
		if !slices.Equal(drawn.Pix[feet:], plain.Pix[feet:]) {
			t.Errorf("%q: legs have moved", split)
		}
		if moved := !slices.Equal(drawn.Pix[:feet], plain.Pix[:feet]); moved != (split == TrainSplit) {
			t.Errorf("%q: the head has moved: %v", split, moved)
		}
	}
	var x []float64
	d := openData(t, dir, DataOptions{Pose: pd})
	for n := range uint64(500) {
		l := d.look(newRand(n))
		for _, h := range l.head {
			x = append(x, h[0], h[1])
		}
	}
	if s := deviation(x); s < 4.7 || s > 5.3 {
		t.Errorf("joints of the head are moved by a deviation of %.2f, want 5", s)
	}
}

func TestPoseDataRefusals(t *testing.T) {
	for _, c := range []struct {
		want  string
		o     *PoseData
		spoil func(dir string) error
	}{
		{"of train_densepose, train_openpose and train_img there is no train_densepose", &PoseData{Dense: true, Open: true},
			func(dir string) error { return os.RemoveAll(filepath.Join(dir, "train_densepose")) }},
		{"a: 3 frames in train_densepose/a, 2 in train_openpose/a", &PoseData{Dense: true, Open: true},
			func(dir string) error { return os.Remove(filepath.Join(dir, "train_openpose/a/001_keypoints.json")) }},
		{"001_keypoints.json", &PoseData{Open: true},
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "train_openpose/a/001_keypoints.json"), []byte("{}"), 0o644)
			}},
		{"above 24 in the blue channel", &PoseData{Dense: true},
			func(dir string) error {
				f := video.NewFrame(poseSide, poseSide)
				f.Pix[2] = 25
				return video.WritePNG(filepath.Join(dir, "train_densepose/a/001_IUV.png"), f)
			}},
		{"train_openpose/a has no partner in train_img", &PoseData{Open: true},
			func(dir string) error {
				return os.Rename(filepath.Join(dir, "train_img/a"), filepath.Join(dir, "train_img/b"))
			}},
		{"set dataset_mode=pose", nil, func(string) error { return nil }},
	} {
		dir := t.TempDir()
		writePoses(t, dir, "train", 3)
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenData(t.Context(), dir, DataOptions{Pose: c.o}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.want, err)
		}
	}
}

// TestPosesThatAreDrawnAlready: pictures in train_openpose are taken as they are,
// and never mirrored.
func TestPosesThatAreDrawnAlready(t *testing.T) {
	dir := t.TempDir()
	writePoses(t, dir, "train", 2)
	if err := os.RemoveAll(filepath.Join(dir, "train_openpose")); err != nil {
		t.Fatal(err)
	}
	writeClip(t, filepath.Join(dir, "train_openpose", "a"), poseSide, poseSide, 0, 2)
	d := openData(t, dir, DataOptions{Pose: &PoseData{Open: true}, Flip: true})
	for n := range uint64(6) {
		s, err := d.Sample(t.Context(), n, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.A[1].Pix, s.B[1].Pix) || !slices.Equal(s.A[1].Pix, picture(poseSide, poseSide, 0, 1).Pix) {
			t.Errorf("sample %d is not the picture that is there", n)
		}
	}
}
