//go:build cgo

package conformance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvio"
	"github.com/v2v/v2v/video/ffio"
)

func init() {
	readers = append(readers, reader{
		name: "cvio",
		open: func(ctx context.Context, i video.Info) (video.Reader, error) {
			r, err := cvio.Open(ctx, i, cvio.ReadOptions{InFlight: 2})
			if err != nil {
				return nil, err
			}
			return ffio.Watch(r)
		},
		right: cvio.Right,
	})
	writers["cvio"] = func(ctx context.Context, path string, width, height int) (video.Writer, error) {
		return cvio.Create(ctx, path, cvio.WriteOptions{Width: width, Height: height})
	}
}

// TestOpenCVWriter: without ffmpeg a clip can still be written, in each container,
// and the count, the rate and the greys are right.
func TestOpenCVWriter(t *testing.T) {
	needTools(t)
	for _, ext := range []string{".mp4", ".mov", ".mkv", ".avi", ".webm"} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "o"+ext)
			src := video.Info{Width: 64, Height: 48, Rate: video.Rational{Num: 30000, Den: 1001}}
			w, err := cvio.Create(t.Context(), path, cvio.WriteOptions{Source: &src})
			if err != nil {
				t.Fatal(err)
			}
			f := video.NewFrame(64, 48)
			for n := range 20 {
				for p := range f.Pix {
					f.Pix[p] = byte(rampLevel(n))
				}
				if err := w.Write(t.Context(), f); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			i := probe(t, path)
			if d := i.Rate.Float() - src.Rate.Float(); i.Frames() != 20 || d > 0.01 || d < -0.01 {
				t.Errorf("%d frames at %s", i.Frames(), i.Rate)
			}
			checkGrey(t, path, 20, 10) // its bitrate is OpenCV's choice
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			empty(t, dir)
		})
	}
}

func TestOpenCVRefuses(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.mp4")
	write(t, taken, "precious")
	for _, tt := range []struct {
		name, path string
		o          cvio.WriteOptions
		want       string
	}{
		{"odd", filepath.Join(dir, "o.mp4"), cvio.WriteOptions{Width: 65, Height: 48}, "odd size 65x48"},
		{"extension", filepath.Join(dir, "o.gif"), cvio.WriteOptions{Width: 64, Height: 48}, ".mp4"},
		{"no size", filepath.Join(dir, "o.mp4"), cvio.WriteOptions{}, "0x0"},
		{"taken", taken, cvio.WriteOptions{Width: 64, Height: 48}, "allow overwriting"},
		{"missing folder", filepath.Join(dir, "no", "o.mp4"), cvio.WriteOptions{Width: 64, Height: 48}, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := cvio.Create(t.Context(), tt.path, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
	text := filepath.Join(dir, "text.mp4")
	write(t, text, "hello")
	for _, path := range []string{text, filepath.Join(dir, "nowhere.mp4")} {
		if _, err := cvio.Open(t.Context(), video.Info{Path: path, Width: 8, Height: 8}, cvio.ReadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
