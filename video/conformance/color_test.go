package conformance

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
)

// patches are well inside the gamut of both matrices; each is 64 pixels wide.
var patches = [6][3]int{{224, 32, 32}, {32, 192, 32}, {32, 64, 224}, {200, 200, 40}, {40, 180, 200}, {128, 128, 128}}

const patchW, patchH = 64, 48

// patchSource is the six patches side by side as RGB.
func patchSource() []string {
	var in, labels string
	for i, p := range patches {
		in += fmt.Sprintf("color=0x%02x%02x%02x:s=%dx%d:r=25,format=gbrp[p%d];", p[0], p[1], p[2], patchW, patchH, i)
		labels += fmt.Sprintf("[p%d]", i)
	}
	return []string{"-f", "lavfi", "-i", in + labels + "hstack=inputs=6", "-frames:v", "2"}
}

// worst is the largest error over the patches' centres.
func worst(f *video.Frame) int {
	w := 0
	for i, p := range patches {
		r, g, b := f.At(i*patchW+patchW/2, patchH/2)
		for c, v := range [3]int{int(r), int(g), int(b)} {
			w = max(w, v-p[c], p[c]-v)
		}
	}
	return w
}

// TestColours encodes the patches by each matrix and range, tagged and losslessly.
// Who claims to be right must be within 2 levels; where OpenCV is not trusted its
// error is large, so that the distrust is known to be deserved.
func TestColours(t *testing.T) {
	needTools(t)
	for _, tt := range []struct{ matrix, rng string }{{"smpte170m", "tv"}, {"smpte170m", "pc"}, {"bt709", "tv"}, {"bt709", "pc"}} {
		t.Run(tt.matrix+" "+tt.rng, func(t *testing.T) {
			t.Parallel()
			i := probe(t, clip(t, "a.mp4", join(patchSource(), []string{
				"-vf", fmt.Sprintf("scale=out_color_matrix=%s:out_range=%s:flags=accurate_rnd+full_chroma_int,format=yuv420p", tt.matrix, tt.rng),
				"-c:v", "libx264", "-qp", "0", "-colorspace", tt.matrix, "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", tt.rng,
			})...))
			if i.Color != (video.Color{Matrix: tt.matrix, Range: tt.rng, Primaries: "bt709", Transfer: "bt709"}) {
				t.Errorf("probed colour %+v", i.Color)
			}
			for _, r := range readers {
				ok, reason := r.right(i)
				e := worst(first(t, r, i))
				t.Logf("%s: worst error %d levels, trusted %v %s", r.name, e, ok, reason)
				if ok && e > 2 || !ok && e < 5 {
					t.Errorf("%s: trusted %v, but the error is %d levels", r.name, ok, e)
				}
			}
		})
	}
}

// TestUntaggedColours: a picture without a tag is BT.709 from 720 lines on.
func TestUntaggedColours(t *testing.T) {
	needTools(t)
	for _, tt := range []struct {
		matrix string
		height int
	}{{"smpte170m", 48}, {"bt709", 720}} {
		t.Run(tt.matrix, func(t *testing.T) {
			t.Parallel()
			i := probe(t, clip(t, "a.mkv", join(patchSource(), []string{
				"-vf", fmt.Sprintf("pad=h=%d,scale=out_color_matrix=%s:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv444p", tt.height, tt.matrix),
				"-c:v", "ffv1",
			})...))
			i.Color = video.Color{Range: "tv"} // as from a file that lost its tags
			eachReader(t, i, func(t *testing.T, r reader) {
				if e := worst(first(t, r, i)); e > 2 {
					t.Errorf("worst error %d levels", e)
				}
			})
			rd, err := ffio.OpenProbed(t.Context(), i, ffio.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeReader(t, rd)
			if n := strings.Join(rd.Notes(), ""); !strings.Contains(n, "not tagged") || !strings.Contains(n, tt.matrix) {
				t.Errorf("notes %q do not say what was assumed", n)
			}
		})
	}
}

// TestHDR: PQ and HLG are tone-mapped, with a note; grey stays grey and white
// does not clip to nothing.
func TestHDR(t *testing.T) {
	needTools(t)
	for _, trc := range []string{"smpte2084", "arib-std-b67"} {
		t.Run(trc, func(t *testing.T) {
			t.Parallel()
			i := probe(t, clip(t, "a.mkv", "-f", "lavfi", "-i", "nullsrc=s=64x48:r=25,geq=lum=16+3*X:cb=128:cr=128,format=yuv420p,format=yuv420p10le", "-frames:v", "1",
				"-c:v", "libx265", "-x265-params", "log-level=error:lossless=1", "-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", trc, "-color_range", "tv"))
			if !i.Color.HDR() || i.BitDepth != 10 {
				t.Fatalf("probed %+v", i)
			}
			for _, r := range readers[1:] {
				if ok, _ := r.right(i); ok {
					t.Errorf("%s claims to be right about high dynamic range", r.name)
				}
			}
			rd, err := ffio.OpenProbed(t.Context(), i, ffio.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeReader(t, rd)
			if n := rd.Notes(); len(n) != 1 || !strings.Contains(n[0], "tone-mapped") {
				t.Errorf("notes %q", n)
			}
			f, err := rd.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			last := -1
			for x := range 64 {
				r, g, b := f.At(x, 24)
				if !near(int(r), int(g)) || !near(int(b), int(g)) || int(g) < last {
					t.Fatalf("column %d is %d,%d,%d after %d", x, r, g, b, last)
				}
				last = int(g)
			}
			if last < 100 {
				t.Errorf("the brightest grey is %d", last)
			}
			if _, err := rd.Next(t.Context()); err != io.EOF {
				t.Errorf("after the last frame: %v", err)
			}
		})
	}
}
