package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/sheet"
)

const (
	cellSide   = 112 // pixels, at least, of a picture on the sheet
	noteWidth  = 200
	curveWidth = 280
	lineHeight = 15
	sheetGap   = 4
)

// ground is the sheet's own grey, under text and curves.
var ground = color.NRGBA{32, 32, 32, 255}

// drawComparison lays entries out: a row each, its figures on the left, its
// pictures, and the losses on the right.
func drawComparison(entries []entry) *video.Frame {
	var rows [][]*video.Frame
	for _, e := range entries {
		zoom := (cellSide + e.shown[0].W - 1) / e.shown[0].W
		var pictures []*video.Frame
		for _, f := range e.shown {
			pictures = append(pictures, enlarged(f, zoom))
		}
		height := pictures[0].H
		row := []*video.Frame{note(e, height), sheet.Hstack(sheetGap, pictures...)}
		if e.curve != nil {
			row = append(row, curve(e.curve, e.Step, height))
		}
		rows = append(rows, row)
	}
	return sheet.Grid(rows, sheetGap)
}

// note is what is written beside a row.
func note(e entry, height int) *video.Frame {
	lines := []string{"real pictures"}
	if e.Run != "" {
		lines = []string{shortened(e.title()), e.Codes + " codes", fmt.Sprintf("step %d, %.0f s", e.Step, e.Seconds),
			fmt.Sprintf("%s parameters", thousands(e.Parameters)), fmt.Sprintf("PSNR %.1f dB", e.PSNR)}
	}
	lines = append(lines, fmt.Sprintf("sharpness %.0f", e.Sharpness), fmt.Sprintf("likeness %.3f", e.Likeness))
	if e.Held != nil {
		lines = append(lines, fmt.Sprintf("held-out %.1f dB", *e.Held))
	}
	if e.FID != nil {
		lines = append(lines, fmt.Sprintf("FID %.1f", *e.FID))
	}
	img := canvas(noteWidth, max(height, lineHeight*len(lines)))
	for i, l := range lines {
		write(img, l, 4, lineHeight*(i+1)-3, color.White)
	}
	return opaque(img)
}

// shortened keeps the beginning of a line that the note has no room for.
func shortened(line string) string {
	const room = (noteWidth - 4) / 7 // a letter of basicfont is 7 wide
	if r := []rune(line); len(r) > room {
		return string(r[:room-1]) + "~"
	}
	return line
}

// thousands is a number with its digits in groups.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s %03d", thousands(n/1000), n%1000)
}

func canvas(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Rect, image.NewUniform(ground), image.Point{}, draw.Src)
	return img
}

func write(img draw.Image, text string, x, y int, c color.Color) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

func opaque(img *image.NRGBA) *video.Frame {
	f := video.NewFrame(img.Rect.Dx(), img.Rect.Dy())
	for i, o := 0, 0; i < len(img.Pix); i, o = i+4, o+3 {
		copy(f.Pix[o:o+3], img.Pix[i:])
	}
	return f
}

// drawnLosses are the terms that are drawn, in their colours: errors, and the two
// sides of a GAN.
var drawnLosses = []struct {
	name string
	c    color.NRGBA
}{
	{"L2", color.NRGBA{120, 190, 255, 255}}, {"L1", color.NRGBA{120, 190, 255, 255}},
	{"G", color.NRGBA{120, 230, 120, 255}}, {"D_real", color.NRGBA{255, 190, 90, 255}}, {"D_fake", color.NRGBA{255, 110, 110, 255}},
}

// smoothedOver is how many steps a drawn loss is the mean of.
const smoothedOver = 25

// curve draws losses over steps, each value the mean of some steps, from zero to
// the largest but the first ones, which shoot up.
func curve(steps []train.PastStep, last, height int) *video.Frame {
	img := canvas(curveWidth, height)
	top := 0.0
	lines := map[string][]image.Point{}
	values := map[string][]float64{}
	for _, l := range drawnLosses {
		values[l.name] = smoothed(steps, l.name, last)
		sorted := slices.SortedFunc(slices.Values(values[l.name]), cmp.Compare[float64])
		if n := len(sorted); n > 0 {
			top = max(top, 1.1*sorted[(n-1)*98/100])
		}
	}
	x := 4
	for _, l := range drawnLosses {
		v := values[l.name]
		for i, y := range v {
			at := image.Pt(4+i*(curveWidth-8)/max(1, len(v)-1), height-4-int(math.Round(min(y/max(top, 1e-9), 1)*float64(height-lineHeight-8))))
			lines[l.name] = append(lines[l.name], at)
		}
		for i := 1; i < len(v); i++ {
			segment(img, lines[l.name][i-1], lines[l.name][i], l.c)
		}
		if len(v) > 0 {
			text := fmt.Sprintf("%s %.3g", l.name, v[len(v)-1])
			write(img, text, x, 12, l.c)
			x += 7*len(text) + 12
		}
	}
	return opaque(img)
}

// smoothed is a loss up to the last step, a value for every smoothedOver steps;
// empty where the run has no such loss.
func smoothed(steps []train.PastStep, name string, last int) []float64 {
	var values []float64
	var sum float64
	n := 0
	for _, s := range steps {
		v, ok := s.Losses[name]
		if !ok || s.Step > last {
			continue
		}
		sum += v
		if n++; n == smoothedOver {
			values = append(values, sum/float64(n))
			sum, n = 0, 0
		}
	}
	if n > 0 && len(values) == 0 {
		values = append(values, sum/float64(n))
	}
	return values
}

// segment draws a line.
func segment(img *image.NRGBA, from, to image.Point, c color.NRGBA) {
	n := max(1, max(to.X-from.X, from.X-to.X), max(to.Y-from.Y, from.Y-to.Y))
	for i := range n + 1 {
		img.SetNRGBA(from.X+i*(to.X-from.X)/n, from.Y+i*(to.Y-from.Y)/n, c)
	}
}
