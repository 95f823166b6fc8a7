package main

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

const (
	plotDPI    = 96
	plotWidth  = 11 * vg.Inch
	panelTall  = 2.5 * vg.Inch
	legendWide = 1.7 * vg.Inch
	noteTall   = 0.19 * vg.Inch
	mostPoints = 1500 // of a curve: more than the picture has columns
	mostMarks  = 26   // letters there are
)

// strong are colours that are told apart on white, by most of the colour-blind
// too; after them they begin anew, dashed.
var strong = []color.RGBA{
	{31, 119, 180, 255}, {214, 95, 14, 255}, {44, 140, 70, 255}, {190, 40, 50, 255}, {130, 90, 180, 255},
	{120, 80, 60, 255}, {215, 95, 175, 255}, {90, 90, 90, 255}, {150, 150, 20, 255}, {15, 160, 175, 255},
}

// lettered is a mark with the run that it is of.
type lettered struct {
	train.Mark
	letter, run string
}

// drawCurves draws all panels, one below another, and the list of marks.
func drawCurves(runs []drawn, keys []string, smooth int) (*video.Frame, error) {
	list := panels(keys, len(runs) > 1)
	marks, left := marksOf(runs)
	notes := len(marks)
	if left > 0 {
		notes++
	}
	tall := panelTall*vg.Length(len(list)) + noteTall*vg.Length(notes) + 0.15*vg.Inch
	img := vgimg.NewWith(vgimg.UseWH(plotWidth, tall), vgimg.UseDPI(plotDPI))
	page := draw.New(img)
	plots := make([][]*plot.Plot, len(list))
	for i, p := range list {
		one, err := drawPanel(p, runs, marks, smooth)
		if err != nil {
			return nil, err
		}
		if i == len(list)-1 {
			one.X.Label.Text = "step"
		}
		plots[i] = []*plot.Plot{one}
	}
	foot := noteTall*vg.Length(notes) + 0.05*vg.Inch
	area := draw.Crop(page, 0.1*vg.Inch, -legendWide, foot, -0.1*vg.Inch)
	for i, row := range plot.Align(plots, draw.Tiles{Rows: len(list), Cols: 1, PadY: 0.08 * vg.Inch}, area) {
		p := plots[i][0]
		legend := p.Legend
		p.Legend = plot.NewLegend()
		p.Draw(row[0])
		inner := p.DataCanvas(row[0])
		beside := page
		beside.Rectangle = vg.Rectangle{Min: vg.Point{X: inner.Max.X + 0.12*vg.Inch, Y: inner.Min.Y}, Max: vg.Point{X: page.Max.X, Y: inner.Max.Y}}
		legend.Draw(beside)
	}
	drawNotes(page, marks, left, len(runs) > 1)
	return frameOf(img.Image()), nil
}

// marksOf gives the first marks of all runs letters, and counts the others.
func marksOf(runs []drawn) (marks []lettered, left int) {
	for _, r := range runs {
		for _, m := range r.curve.Marks {
			if len(marks) == mostMarks {
				left++
				continue
			}
			marks = append(marks, lettered{m, string(rune('a' + len(marks))), r.name})
		}
	}
	return marks, left
}

// drawNotes lists what the letters stand for below the panels.
func drawNotes(page draw.Canvas, marks []lettered, left int, runs bool) {
	style := plot.New().X.Tick.Label
	style.XAlign, style.YAlign = draw.XLeft, draw.YBottom
	y := page.Min.Y + 0.05*vg.Inch
	line := func(text string, c color.Color) {
		style.Color = c
		page.FillText(style, vg.Point{X: page.Min.X + 0.15*vg.Inch, Y: y}, text)
		y += noteTall
	}
	if left > 0 {
		line(fmt.Sprintf("and %d more", left), color.Black)
	}
	for i := len(marks) - 1; i >= 0; i-- {
		m := marks[i]
		text := fmt.Sprintf("%s  step %d: %s", m.letter, m.Step, m.Text)
		if runs {
			text = fmt.Sprintf("%s  %s, step %d: %s", m.letter, m.run, m.Step, m.Text)
		}
		line(text, m.color())
	}
}

func (m lettered) color() color.Color {
	if m.Warning {
		return color.RGBA{200, 0, 0, 255}
	}
	return color.RGBA{80, 80, 80, 255}
}

// drawPanel draws the curves of a panel. Those that stay above zero and span
// two powers of ten are shown on a scale of powers.
func drawPanel(p panel, runs []drawn, marks []lettered, smooth int) (*plot.Plot, error) {
	out := plot.New()
	out.Title.Text = p.title
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{235}, color.Gray{235}
	out.Add(grid)
	out.Legend.Top, out.Legend.Left, out.Legend.ThumbnailWidth = true, true, 0.3*vg.Inch
	out.Legend.Padding = vg.Points(2)
	low, high, lowRaw := math.Inf(1), math.Inf(-1), math.Inf(1)
	var soft []*plotter.Line
	for _, key := range p.keys {
		for _, r := range runs {
			raw := points(r.curve, key)
			if len(raw) == 0 {
				continue
			}
			line, back, err := lines(raw, window(key, smooth, r.curve), len(soft))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			if back != nil {
				out.Add(back)
			}
			soft = append(soft, line)
			name := key
			if len(runs) > 1 {
				name = r.name
			}
			out.Legend.Add(name, line)
			for _, at := range line.XYs {
				low, high = min(low, at.Y), max(high, at.Y)
			}
			for _, at := range raw {
				lowRaw = min(lowRaw, at.Y)
			}
		}
	}
	for _, line := range soft { // above all that lies behind
		out.Add(line)
	}
	switch {
	case lowRaw > 0 && high > 100*low:
		out.Y.Scale, out.Y.Tick.Marker = plot.LogScale{}, powers{}
	case high > low: // a wild raw value must not flatten the curves
		out.Y.Min, out.Y.Max = max(out.Y.Min, low-(high-low)/2), min(out.Y.Max, high+(high-low)/2)
	}
	if out.Y.Min == out.Y.Max {
		out.Y.Min, out.Y.Max = out.Y.Min-math.Abs(out.Y.Min)/10-1e-9, out.Y.Max+math.Abs(out.Y.Max)/10+1e-9
	}
	out.X.Min, out.X.Max = 0, 1
	for _, r := range runs {
		out.X.Max = max(out.X.Max, float64(r.curve.Steps[len(r.curve.Steps)-1].Step))
	}
	return out, addMarks(out, marks)
}

// window is how many steps a curve is averaged over.
func window(key string, smooth int, c *train.Curve) int {
	switch {
	case groupOf(key) == "learning rate":
		return 1
	case smooth < 0:
		return max(1, len(c.Steps)/50)
	}
	return max(1, smooth)
}

// points are the steps that have a key.
func points(c *train.Curve, key string) plotter.XYs {
	var out plotter.XYs
	for _, s := range c.Steps {
		y, ok := s.Losses[key]
		if key == rateKey {
			y, ok = s.LR, true
		}
		if ok {
			out = append(out, plotter.XY{X: float64(s.Step), Y: y})
		}
	}
	return out
}

// movingMean is the mean of the last n values, of fewer at the beginning.
func movingMean(raw plotter.XYs, n int) plotter.XYs {
	out := make(plotter.XYs, len(raw))
	sum := 0.0
	for i, at := range raw {
		sum += at.Y
		if i >= n {
			sum -= raw[i-n].Y
		}
		out[i] = plotter.XY{X: at.X, Y: sum / float64(min(i+1, n))}
	}
	return out
}

// thinned keeps the lowest and the highest of each stretch of a long curve.
func thinned(xys plotter.XYs) plotter.XYs {
	if len(xys) <= mostPoints {
		return xys
	}
	var out plotter.XYs
	stretch := (2*len(xys) + mostPoints - 1) / mostPoints
	for i := 0; i < len(xys); i += stretch {
		low, high := i, i
		for j := i; j < min(i+stretch, len(xys)); j++ {
			if xys[j].Y < xys[low].Y {
				low = j
			}
			if xys[j].Y > xys[high].Y {
				high = j
			}
		}
		out = append(out, xys[min(low, high)])
		if low != high {
			out = append(out, xys[max(low, high)])
		}
	}
	return out
}

// lines gives the nth curve of a panel, and the raw values behind it, or nil where
// they are the line itself.
func lines(raw plotter.XYs, n, nth int) (line, back *plotter.Line, err error) {
	c := strong[nth%len(strong)]
	if line, err = plotter.NewLine(thinned(movingMean(raw, n))); err != nil {
		return nil, nil, err
	}
	line.Color, line.Width = c, vg.Points(1.4)
	if turn := nth / len(strong); turn > 0 {
		line.Dashes = []vg.Length{vg.Points(float64(4 * turn)), vg.Points(2)}
	}
	if n == 1 {
		return line, nil, nil
	}
	if back, err = plotter.NewLine(thinned(raw)); err != nil {
		return nil, nil, err
	}
	pale := func(x uint8) uint8 { return 255 - (255-x)/4 }
	back.Color, back.Width = color.RGBA{pale(c.R), pale(c.G), pale(c.B), 255}, vg.Points(0.5)
	return line, back, nil
}

// powers are the ticks of a logarithmic axis. gonum's own come from repeated
// multiplication and carry its rounding into their labels.
type powers struct{}

// Ticks implements plot.Ticker.
func (powers) Ticks(least, most float64) []plot.Tick {
	ticks := plot.LogTicks{Prec: -1}.Ticks(least, most)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = strconv.FormatFloat(t.Value, 'g', 3, 64)
		}
	}
	return ticks
}
