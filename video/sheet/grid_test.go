package sheet

import (
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// tile is a frame of one value, which show prints as the letter.
func tile(w, h int, letter byte) *video.Frame {
	f := video.NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = letter
	}
	return f
}

// show draws a sheet in letters, '.' for the ground.
func show(f *video.Frame) string {
	var b strings.Builder
	for y := 0; y < f.H; y++ {
		for x := 0; x < f.W; x++ {
			r, g, bl := f.At(x, y)
			switch {
			case r != g || g != bl:
				b.WriteByte('!')
			case r == ground:
				b.WriteByte('.')
			default:
				b.WriteByte(r)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestGrid(t *testing.T) {
	a, b, c := tile(2, 2, 'a'), tile(3, 1, 'b'), tile(1, 1, 'c')
	for _, k := range []struct {
		name string
		got  *video.Frame
		want string
	}{
		{"one", Grid([][]*video.Frame{{a}}, 3), "aa\naa\n"},
		{"row", Hstack(1, a, b), "aa.bbb\naa....\n"},
		{"row without gap", Hstack(0, b, c), "bbbc\n"},
		{"column", Vstack(1, a, b), "aa.\naa.\n...\nbbb\n"},
		{"ragged with a hole", Grid([][]*video.Frame{{a, nil, c}, {nil, b}}, 1), "aa.....c\naa......\n........\n...bbb..\n"},
		{"nothing", Grid(nil, 2), ".\n"},
		{"only holes", Grid([][]*video.Frame{{nil}}, 2), ".\n"},
	} {
		t.Run(k.name, func(t *testing.T) {
			if got := show(k.got); got != k.want {
				t.Errorf("got\n%swant\n%s", got, k.want)
			}
		})
	}
}
