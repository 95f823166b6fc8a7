package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/v2v/v2v/video"
)

func TestOpenDataLayouts(t *testing.T) {
	for _, k := range []struct {
		name, a, b string
		split      Split
	}{
		{"pix2pixHD", "train_A", "train_B", TrainSplit},
		{"folders of parts", "train/A", "train/B", TrainSplit},
		{"bare", "A", "B", TrainSplit},
		{"held out", "test_A", "test_B", TestSplit},
		{"held out in folders of parts", "test/A", "test/B", TestSplit},
	} {
		t.Run(k.name, func(t *testing.T) {
			dir := t.TempDir()
			writeData(t, dir, k.a, k.b, 6, 4, 3, 5)
			d := openData(t, dir, DataOptions{Split: k.split})
			if w, h := d.Size(); w != 6 || h != 4 || d.Clips() != 2 || d.Frames() != 8 || d.Windows(4) != 2 || d.Windows(3) != 4 {
				t.Errorf("%dx%d, %d clips, %d frames, %d windows of 4, %d of 3", w, h, d.Clips(), d.Frames(), d.Windows(4), d.Windows(3))
			}
			other := TestSplit
			if k.split == TestSplit {
				other = TrainSplit
			}
			if _, err := OpenData(t.Context(), dir, DataOptions{Split: other}); !errors.Is(err, ErrNoSplit) {
				t.Errorf("the other part: %v", err)
			}
		})
	}
}

// fakeReader is a container: a file that says "WxH frames" and where it breaks.
type fakeReader struct {
	w, h, n, t int
	end        error
}

func openFake(_ context.Context, path string) (video.Reader, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &fakeReader{end: io.EOF}
	if n, _ := fmt.Sscanf(string(text), "%dx%d %d", &r.w, &r.h, &r.n); n != 3 {
		return nil, fmt.Errorf("open %s: no video", filepath.Base(path))
	}
	if strings.Contains(string(text), "broken") {
		r.end = fmt.Errorf("%w: kept %d frames", video.ErrDamaged, r.n)
	}
	return r, nil
}

func (r *fakeReader) Info() video.Info { return video.Info{Width: r.w, Height: r.h} }
func (r *fakeReader) Close() error     { return nil }

func (r *fakeReader) Next(context.Context) (*video.Frame, error) {
	if r.t == r.n {
		return nil, r.end
	}
	r.t++
	return picture(r.w, r.h, 0, r.t-1), nil
}

// files maps paths to what a video is, "WxH frames", or "stills WxH frames".
type files map[string]string

var wrongData = []struct {
	name string
	in   files
	o    DataOptions
	want []string
}{
	{"sound", files{"A/x.mp4": "4x4 3", "B/x.mkv": "4x4 3", "A/.hidden": "", "A/s": "stills 4x4 2", "B/s.avi": "4x4 2"}, DataOptions{}, nil},
	{"all at once", files{
		"A/count.mp4": "4x4 3", "B/count.mp4": "4x4 4",
		"A/size.mp4": "4x4 3", "B/size.mp4": "6x4 3",
		"A/onlyA.mp4": "4x4 3", "B/onlyB.mp4": "4x4 3",
		"A/short.mp4": "4x4 1", "B/short.mp4": "4x4 1",
		"A/text.mp4": "hello", "B/text.mp4": "4x4 3",
		"A/torn.mp4": "4x4 3 broken", "B/torn.mp4": "4x4 3",
		"A/void.mp4": "4x4 0", "B/void.mp4": "4x4 0",
		"A/ok.mp4": "4x4 3", "B/ok.mp4": "4x4 3",
		"A/wide.mp4": "8x4 3", "B/wide.mp4": "8x4 3",
	}, DataOptions{}, []string{
		"A/onlyA.mp4 has no partner in B",
		"B/onlyB.mp4 has no partner in A",
		"count: 3 frames in A/count.mp4, 4 in B/count.mp4",
		"short: 1 frames, a sample takes 2",
		"size: frames of 4x4 in A/size.mp4, of 6x4 in B/size.mp4",
		"A/text.mp4: open text.mp4: no video",
		"A/torn.mp4: damaged clip: kept 3 frames",
		"A/void.mp4: no frames",
		"B/void.mp4: no frames",
		"wide: frames of 8x4, those of count are 4x4",
	}},
	{"sizes asked for", files{"A/x.mp4": "4x4 3", "B/x.mp4": "4x4 3", "A/y.mp4": "8x4 3", "B/y.mp4": "8x4 3"},
		DataOptions{Size: image.Pt(8, 4)}, []string{"x: frames of 4x4, 8x4 is wanted"}},
	{"too small for the crop", files{"A/x.mp4": "4x4 3", "B/x.mp4": "4x4 3", "A/y.mp4": "8x4 3", "B/y.mp4": "8x4 3"},
		DataOptions{Crop: image.Pt(6, 4)}, []string{"x: frames of 4x4, samples of 6x4 are to be cut out"}},
	{"too short", files{"A/x.mp4": "4x4 3", "B/x.mp4": "4x4 3"}, DataOptions{Frames: 4}, []string{"x: 3 frames, a sample takes 4"}},
	{"two of one name", files{"A/x.mp4": "4x4 3", "A/x.mkv": "4x4 3", "B/x.mp4": "4x4 3"},
		DataOptions{}, []string{"A/x.mkv and A/x.mp4 have one name"}},
	{"half a layout", files{"train_A/x.mp4": "4x4 3"}, DataOptions{}, []string{"of train_A and train_B only one is there"}},
	{"two layouts", files{"A/x.mp4": "4x4 3", "B/x.mp4": "4x4 3", "train_A/x.mp4": "4x4 3", "train_B/x.mp4": "4x4 3"},
		DataOptions{}, []string{"it has several layouts at once (train_A, A): keep one"}},
	{"empty", files{"A/.keep": "", "B/.keep": ""}, DataOptions{}, []string{"A and B hold no clip"}},
	{"loose pictures", files{"A/1.png": "", "A/2.png": "", "B/1.png": ""}, DataOptions{}, []string{
		"A holds 2 loose pictures: put those of each clip into a folder of their own",
		"B holds 1 loose pictures: put those of each clip into a folder of their own"}},
	{"a folder without pictures", files{"A/x/notes.txt": "", "B/x.mp4": "4x4 3"}, DataOptions{}, []string{
		`A/x: open stills: no frames: folder "DIR/A/x" holds no .png or .jpg picture`}},
}

func TestOpenDataListsEverythingWrong(t *testing.T) {
	for _, k := range wrongData {
		t.Run(k.name, func(t *testing.T) {
			dir := t.TempDir()
			for path, text := range k.in {
				path = filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				var w, h, n int
				if _, err := fmt.Sscanf(text, "stills %dx%d %d", &w, &h, &n); err == nil {
					writeClip(t, path, w, h, 0, n)
				} else if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			k.o.Open = openFake
			d, err := OpenData(t.Context(), dir, k.o)
			if len(k.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				d.Close()
				return
			}
			var de *DataError
			if !errors.As(err, &de) {
				t.Fatalf("got %v, want a *DataError", err)
			}
			for i, p := range de.Problems {
				de.Problems[i] = strings.ReplaceAll(p, dir, "DIR")
			}
			if diff := cmp.Diff(k.want, de.Problems, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
				t.Errorf("problems, -want +got:\n%s", diff)
			}
			if got := strings.Count(err.Error(), "\n"); got != len(k.want) {
				t.Errorf("%d lines for %d problems:\n%v", got, len(k.want), err)
			}
		})
	}
}

func TestOpenDataErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct{ name, dir, want string }{
		{"missing", filepath.Join(dir, "none"), "there is no folder " + filepath.Join(dir, "none") + ": v2v prepare makes one of a video"},
		{"a file", file, "is no folder"},
		{"other content", dir, "it wants folders train_A and train_B, or train/A and train/B, or A and B, and has file: v2v prepare makes them of a video"},
	} {
		t.Run(k.name, func(t *testing.T) {
			if _, err := OpenData(t.Context(), k.dir, DataOptions{}); err == nil || !strings.Contains(err.Error(), k.want) {
				t.Errorf("got %v, want %q", err, k.want)
			}
		})
	}
	writeData(t, dir, "A", "B", 4, 4, 3)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := OpenData(ctx, dir, DataOptions{}); !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
}
