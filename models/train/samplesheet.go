package train

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/sheet"
)

const (
	sheetGap    = 4  // pixels between the pictures
	labelHeight = 15 // pixels: a line of basicfont and one above and below
)

// renderSheet lays out what the trainer makes of samples: a row for each, a
// column for each picture, its label on top.
func renderSheet(ctx context.Context, t Trainer, samples []*Sample) (*video.Frame, error) {
	rows := make([][]*video.Frame, 1, len(samples)+1)
	for _, s := range samples {
		pictures, err := t.Render(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("render clip %s frame %d: %w", s.Clip, s.Start+len(s.A)-1, err)
		}
		var row []*video.Frame
		for i, p := range pictures {
			if i == len(rows[0]) {
				rows[0] = append(rows[0], label(p.Label, p.Frame.W))
			}
			row = append(row, p.Frame)
		}
		rows = append(rows, row)
	}
	return sheet.Grid(rows, sheetGap), nil
}

// label is a strip of that width with a light text on black.
func label(text string, w int) *video.Frame {
	img := image.NewNRGBA(image.Rect(0, 0, w, labelHeight))
	draw.Draw(img, img.Rect, image.NewUniform(color.Black), image.Point{}, draw.Src)
	face := basicfont.Face7x13
	d := font.Drawer{Dst: img, Src: image.NewUniform(color.White), Face: face, Dot: fixed.P(2, face.Ascent+1)}
	d.DrawString(text)
	f := video.NewFrame(w, labelHeight)
	for i, o := 0, 0; o < len(f.Pix); i, o = i+4, o+3 {
		copy(f.Pix[o:o+3], img.Pix[i:])
	}
	return f
}

// writeSheet makes samples/step-<n>.png and the same picture in TensorBoard.
func (r *run) writeSheet(ctx context.Context) error {
	if r.sheetSamples == nil {
		samples, err := r.o.shown().Spread(ctx, sheetRows, r.o.SheetFrames)
		if err != nil {
			return fmt.Errorf("sample sheet: %w", err)
		}
		r.sheetSamples = samples
	}
	f, err := renderSheet(ctx, r.o.Trainer, r.sheetSamples)
	if err != nil {
		return fmt.Errorf("sample sheet: %w", err)
	}
	path := filepath.Join(r.dir.path, sampleDir, fmt.Sprintf("step-%06d.png", r.Step))
	if err := video.WritePNG(path, f); err != nil {
		return fmt.Errorf("sample sheet: %w", err)
	}
	png, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sample sheet: %w", err)
	}
	if err := r.board.image(r.Step, "samples", f.W, f.H, png); err != nil {
		return err
	}
	r.o.Events(SheetWritten{Step: r.Step, Path: path})
	return nil
}
