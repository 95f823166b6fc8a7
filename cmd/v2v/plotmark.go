package main

import (
	"image"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/v2v/v2v/video"
)

// addMarks draws an upright line for each mark, with its letter on top.
func addMarks(p *plot.Plot, marks []lettered) error {
	for _, m := range marks {
		x := float64(m.Step)
		line, err := plotter.NewLine(plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}})
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = m.color(), vg.Points(0.7), []vg.Length{vg.Points(3), vg.Points(3)}
		name, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: p.Y.Max}}, Labels: []string{m.letter}})
		if err != nil {
			return err
		}
		name.TextStyle[0].Color, name.TextStyle[0].XAlign, name.TextStyle[0].YAlign = m.color(), draw.XLeft, draw.YTop
		name.Offset = vg.Point{X: vg.Points(2)}
		p.Add(line, name)
	}
	return nil
}

// frameOf copies a picture.
func frameOf(img image.Image) *video.Frame {
	b := img.Bounds()
	f := video.NewFrame(b.Dx(), b.Dy())
	for i := range b.Dx() * b.Dy() {
		r, g, bl, _ := img.At(b.Min.X+i%b.Dx(), b.Min.Y+i/b.Dx()).RGBA()
		f.Pix[3*i], f.Pix[3*i+1], f.Pix[3*i+2] = byte(r>>8), byte(g>>8), byte(bl>>8)
	}
	return f
}
