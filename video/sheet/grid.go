package sheet

import "github.com/v2v/v2v/video"

// ground is the grey between and beside the tiles: dark enough to vanish, and
// not the black of an edge map.
const ground = 32

// Grid lays out rows of frames with gap pixels between them and around none.
// A column is as wide as its widest frame, a row as high as its highest;
// smaller frames sit in their cell's top left corner, a nil frame leaves its
// cell empty. Rows may differ in length. An empty grid is a 1x1 frame.
func Grid(frames [][]*video.Frame, gap int) *video.Frame {
	var widths, heights []int
	for y, row := range frames {
		heights = append(heights, 0)
		for x, f := range row {
			if x == len(widths) {
				widths = append(widths, 0)
			}
			if f != nil {
				widths[x] = max(widths[x], f.W)
				heights[y] = max(heights[y], f.H)
			}
		}
	}
	out := video.NewFrame(max(1, span(widths, gap)), max(1, span(heights, gap)))
	for i := range out.Pix {
		out.Pix[i] = ground
	}
	top := 0
	for y, row := range frames {
		left := 0
		for x, f := range row {
			if f != nil {
				paste(out, f, left, top)
			}
			left += widths[x] + gap
		}
		top += heights[y] + gap
	}
	return out
}

// Hstack puts frames side by side, tops aligned.
func Hstack(gap int, frames ...*video.Frame) *video.Frame {
	return Grid([][]*video.Frame{frames}, gap)
}

// Vstack puts frames on top of one another, left sides aligned.
func Vstack(gap int, frames ...*video.Frame) *video.Frame {
	rows := make([][]*video.Frame, len(frames))
	for i, f := range frames {
		rows[i] = []*video.Frame{f}
	}
	return Grid(rows, gap)
}

func span(sizes []int, gap int) int {
	sum := gap * (len(sizes) - 1)
	for _, s := range sizes {
		sum += s
	}
	return sum
}

func paste(dst, src *video.Frame, left, top int) {
	for y := 0; y < src.H; y++ {
		copy(dst.Pix[3*((top+y)*dst.W+left):], src.Pix[3*y*src.W:][:3*src.W])
	}
}
