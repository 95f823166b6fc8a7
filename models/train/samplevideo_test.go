package train

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/v2v/v2v/video"
)

// filmingTrainer shows every frame of a sample but the first, in its number's grey.
type filmingTrainer struct{ *fakeTrainer }

func (filmingTrainer) Film(_ context.Context, s *Sample, show func(int, *video.Frame) error) error {
	for t := 1; t < len(s.A); t++ {
		f := video.NewFrame(s.A[t].W, s.A[t].H)
		for i := range f.Pix {
			f.Pix[i] = byte(t)
		}
		if err := show(t, f); err != nil {
			return err
		}
	}
	return nil
}

// tape keeps what is written.
type tape struct {
	frames            []*video.Frame
	committed, closed bool
}

func (c *tape) Write(_ context.Context, f *video.Frame) error {
	c.frames = append(c.frames, f)
	return nil
}
func (c *tape) Commit(context.Context) error { c.committed = true; return nil }
func (c *tape) Close() error                 { c.closed = true; return nil }

// TestSampleVideo: with every sheet a clip, as long as the data allow.
func TestSampleVideo(t *testing.T) {
	dir := t.TempDir()
	o := fakeRun(dir, fakeData(t, dir))
	fake := o.Trainer.(*fakeTrainer)
	o.Trainer = filmingTrainer{fake}
	o.SheetSteps = 100
	tapes := map[string]*tape{}
	o.Video = func(_ context.Context, path string, w, h int) (video.Writer, error) {
		tapes[filepath.Base(path)] = &tape{}
		return tapes[filepath.Base(path)], nil
	}
	told := 0
	o.Events = func(e Event) {
		if _, ok := e.(VideoWritten); ok {
			told++
		}
	}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if len(tapes) != 2 || told != 2 {
		t.Fatalf("%d videos, %d events, want 2 of each", len(tapes), told)
	}
	got := tapes["step-000201.mp4"]
	if got == nil || !got.committed || !got.closed {
		t.Fatalf("the video of step 201: %+v", tapes)
	}
	longest := 0
	for n := 1; n <= sampleVideoFrames; n++ {
		if o.Data.Windows(n) > 0 {
			longest = n
		}
	}
	if len(got.frames) != longest-1 {
		t.Errorf("%d frames, the longest clip has %d", len(got.frames), longest)
	}
	w := (got.frames[0].W - 2*sheetGap) / 3
	row := got.frames[1].Pix[3*(w+sheetGap):][:3*w]
	if !bytes.Equal(row, bytes.Repeat([]byte{2}, 3*w)) {
		t.Errorf("the middle of the second frame is %v, want 2", row[:6])
	}
}
