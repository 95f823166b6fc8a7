package labelmap

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
)

// Options say how colours are recognised. The zero value works.
type Options struct {
	// Tolerance is how far a colour may be from that of its label, as the
	// length of the difference in levels of red, green and blue; 24 when zero:
	// what a good lossy encoding does to flat colours.
	Tolerance float64
}

const defaultTolerance = 24

// MaxUnknown is the share of a frame's pixels that may be farther from every
// colour than the tolerance. They get the nearest label; above it a frame is
// refused.
const MaxUnknown = 0.001

// Colors turns coloured frames into index pictures. Not for concurrent use.
type Colors struct {
	palette   []Entry
	tolerance float64
	cache     [1 << 14]match // by a hash of the colour

	frames, odd     int // that were converted, and of them those with unknown pixels
	pixels, unknown int // of these frames
}

// match is what a colour was found to be.
type match struct {
	color    uint32 // with bit 24 set, so that an empty entry matches nothing
	id       byte
	distance float32
}

// NewColors prepares a palette.
func NewColors(p *Palette, o Options) (*Colors, error) {
	if len(p.Entries) == 0 {
		return nil, ErrPalette
	}
	if o.Tolerance == 0 {
		o.Tolerance = defaultTolerance
	}
	if !(o.Tolerance > 0) {
		return nil, fmt.Errorf("tolerance %g: give a number above 0", o.Tolerance)
	}
	return &Colors{palette: p.Entries, tolerance: o.Tolerance}, nil
}

// Unknown is a colour that no label has.
type Unknown struct {
	R, G, B byte
	Pixels  int
}

// UnknownError says that a frame has too many pixels in colours that no label
// has.
type UnknownError struct {
	Pixels, Of int
	Top        []Unknown // the most frequent ones, five at most
	Tolerance  float64
	Enough     float64 // the tolerance that would take the frame
}

// Error names the colours and what can be done.
func (e *UnknownError) Error() string {
	var top []string
	for _, u := range e.Top {
		top = append(top, fmt.Sprintf("%d %d %d (%d pixels)", u.R, u.G, u.B, u.Pixels))
	}
	return fmt.Sprintf("%d of %d pixels (%.2f %%) are in no colour of the palette, most of them in %s: add the colours to the palette, or raise the tolerance from %g to %g",
		e.Pixels, e.Of, 100*float64(e.Pixels)/float64(e.Of), strings.Join(top, ", "), e.Tolerance, e.Enough)
}

// Convert makes dst, of src's size, the index picture of src, each pixel the
// label of the nearest colour, in all three bytes. It returns how many pixels
// were beyond the tolerance, and an *UnknownError where they are too many.
func (c *Colors) Convert(dst, src *video.Frame) (unknown int, err error) {
	if dst.W != src.W || dst.H != src.H || len(dst.Pix) != len(src.Pix) {
		return 0, errors.New("convert labels: frames differ in size")
	}
	dst.PTS = src.PTS
	counts := map[uint32]int{}
	for i := 0; i+2 < len(src.Pix); i += 3 {
		m := c.find(src.Pix[i], src.Pix[i+1], src.Pix[i+2])
		if float64(m.distance) > c.tolerance {
			unknown++
			counts[m.color&0xffffff]++
		}
		dst.Pix[i], dst.Pix[i+1], dst.Pix[i+2] = m.id, m.id, m.id
	}
	if pixels := src.W * src.H; float64(unknown) > MaxUnknown*float64(pixels) {
		return unknown, c.refuse(counts, unknown, pixels)
	}
	c.frames, c.pixels, c.unknown = c.frames+1, c.pixels+src.W*src.H, c.unknown+unknown
	if unknown > 0 {
		c.odd++
	}
	return unknown, nil
}

// Note says how much of all converted frames was in no colour of the palette; it
// is empty where nothing was.
func (c *Colors) Note() string {
	if c == nil || c.unknown == 0 {
		return ""
	}
	return fmt.Sprintf("%d pixels (%.4f %%) in %d of %d label pictures are in no colour of the palette and took the nearest label",
		c.unknown, 100*float64(c.unknown)/float64(c.pixels), c.odd, c.frames)
}

// find is the nearest label; of equally near ones the first.
func (c *Colors) find(r, g, b byte) match {
	color := 1<<24 | uint32(r)<<16 | uint32(g)<<8 | uint32(b)
	at := &c.cache[color*2654435761>>18]
	if at.color == color {
		return *at
	}
	near := math.MaxInt
	for _, e := range c.palette {
		dr, dg, db := int(r)-int(e.R), int(g)-int(e.G), int(b)-int(e.B)
		if d := dr*dr + dg*dg + db*db; d < near {
			near, at.id = d, e.ID
		}
	}
	at.color, at.distance = color, float32(math.Sqrt(float64(near)))
	return *at
}

func (c *Colors) refuse(counts map[uint32]int, unknown, pixels int) error {
	e := &UnknownError{Pixels: unknown, Of: pixels, Tolerance: c.tolerance}
	var all []Unknown
	far := map[int]int{} // pixels by distance, rounded up
	for color, n := range counts {
		u := Unknown{byte(color >> 16), byte(color >> 8), byte(color), n}
		all = append(all, u)
		far[int(math.Ceil(float64(c.find(u.R, u.G, u.B).distance)))] += n
	}
	slices.SortFunc(all, func(a, b Unknown) int {
		return cmp.Or(b.Pixels-a.Pixels, int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	e.Top = all[:min(5, len(all))]
	beyond := 0
	for d := 442; d > 0; d-- { // the diagonal of all colours
		if beyond += far[d]; float64(beyond) > MaxUnknown*float64(pixels) {
			e.Enough = float64(d)
			break
		}
	}
	return e
}
