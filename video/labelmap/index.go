package labelmap

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
)

// Index is a map of label or instance ids.
type Index struct {
	W, H int
	ID   []uint16 // (H,W)
}

// NewIndex makes a map of zeros.
func NewIndex(w, h int) *Index { return &Index{W: w, H: h, ID: make([]uint16, w*h)} }

// ErrIndex is wrapped where a picture holds colours rather than ids.
var ErrIndex = errors.New("not an index picture")

// ReadIndex reads a PNG whose samples are ids: grey of up to 16 bits, a palette
// picture, whose colours do not matter, or RGB with the id in all three
// channels.
func ReadIndex(path string) (*Index, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	m, err := DecodeIndex(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read labels %q: %w", path, err)
	}
	return m, nil
}

// DecodeIndex is ReadIndex from memory.
func DecodeIndex(r io.Reader) (*Index, error) {
	head := bufio.NewReader(r)
	start, err := head.Peek(26) // signature, and IHDR up to the colour type
	if err != nil || !bytes.HasPrefix(start, []byte("\x89PNG\r\n\x1a\n")) {
		return nil, fmt.Errorf("%w: no PNG, and other formats change what they hold", ErrIndex)
	}
	depth, grey := start[24], start[25] == 0
	img, err := png.Decode(head)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	scale := 1 // what the decoder has made of the samples of small depths
	if grey && depth < 8 {
		scale = 255 / (1<<depth - 1)
	}
	b := img.Bounds()
	m := NewIndex(b.Dx(), b.Dy())
	at, err := sampler(img)
	if err != nil {
		return nil, err
	}
	for y := range m.H {
		for x := range m.W {
			v, ok := at(b.Min.X+x, b.Min.Y+y)
			if !ok {
				return nil, fmt.Errorf("%w: pixel (%d,%d) has a colour: give the palette that says what it means", ErrIndex, x, y)
			}
			m.ID[y*m.W+x] = uint16(v / scale)
		}
	}
	return m, nil
}

// ReadLabels reads a picture of label ids as a frame, the id in the first byte of
// a pixel: PNGs in grey of up to 16 bits or with a palette by their samples, whose
// colours do not matter, and PNGs in colour as they are, such as Pack has made.
func ReadLabels(path string) (*video.Frame, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	defer file.Close()
	c, format, err := image.DecodeConfig(file)
	if err != nil {
		return nil, fmt.Errorf("read labels %q: %w", path, err)
	}
	if format != "png" {
		return nil, fmt.Errorf("read labels %q: %w: a %s changes ids: give PNGs", path, ErrIndex, strings.ToUpper(format))
	}
	_, palette := c.ColorModel.(color.Palette)
	if !palette && c.ColorModel != color.GrayModel && c.ColorModel != color.Gray16Model {
		return video.ReadImage(path)
	}
	m, err := ReadIndex(path)
	if err != nil {
		return nil, err
	}
	f := video.NewFrame(m.W, m.H)
	if err := m.Fill(f); err != nil {
		return nil, fmt.Errorf("read labels %q: %w", path, err)
	}
	return f, nil
}

// sampler reads the raw sample of a pixel; ok is false where channels differ.
func sampler(img image.Image) (func(x, y int) (v int, ok bool), error) {
	switch p := img.(type) {
	case *image.Gray:
		return func(x, y int) (int, bool) { return int(p.Pix[p.PixOffset(x, y)]), true }, nil
	case *image.Gray16:
		return func(x, y int) (int, bool) { return int(p.Gray16At(x, y).Y), true }, nil
	case *image.Paletted:
		return func(x, y int) (int, bool) { return int(p.ColorIndexAt(x, y)), true }, nil
	case *image.NRGBA:
		return func(x, y int) (int, bool) {
			c := p.NRGBAAt(x, y)
			return int(c.R), c.R == c.G && c.G == c.B
		}, nil
	case *image.RGBA: // without alpha
		return func(x, y int) (int, bool) {
			c := p.RGBAAt(x, y)
			return int(c.R), c.R == c.G && c.G == c.B
		}, nil
	case *image.NRGBA64:
		return func(x, y int) (int, bool) {
			c := p.NRGBA64At(x, y)
			return int(c.R), c.R == c.G && c.G == c.B
		}, nil
	case *image.RGBA64:
		return func(x, y int) (int, bool) {
			c := p.RGBA64At(x, y)
			return int(c.R), c.R == c.G && c.G == c.B
		}, nil
	}
	return nil, fmt.Errorf("%w: PNG of an unknown kind", ErrIndex)
}

// ErrRange is wrapped where ids are out of range.
var ErrRange = errors.New("label ids out of range")

// Check refuses ids of labels or more, and says which.
func (m *Index) Check(labels int) error {
	counts := map[int]int{}
	for _, id := range m.ID {
		if int(id) >= labels {
			counts[int(id)]++
		}
	}
	return rangeError(counts, labels)
}

// CheckFrame is Check for an index picture as a frame.
func CheckFrame(f *video.Frame, labels int) error {
	counts := map[int]int{}
	for i := 0; i < len(f.Pix); i += 3 {
		if int(f.Pix[i]) >= labels {
			counts[int(f.Pix[i])]++
		}
	}
	return rangeError(counts, labels)
}

func rangeError(counts map[int]int, labels int) error {
	if len(counts) == 0 {
		return nil
	}
	var ids []int
	for id := range counts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int) int { return cmp.Or(counts[b]-counts[a], a-b) })
	var names []string
	for _, id := range ids[:min(8, len(ids))] {
		names = append(names, fmt.Sprintf("%d (%d pixels)", id, counts[id]))
	}
	if more := len(ids) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s, where 0 to %d are labels", ErrRange, strings.Join(names, ", "), labels-1)
}

// Resize takes the id under the centre of each pixel: ids cannot be mixed.
func (m *Index) Resize(w, h int) *Index {
	out := NewIndex(w, h)
	for i := range out.ID {
		out.ID[i] = m.ID[(i/w*2+1)*m.H/(2*h)*m.W+(i%w*2+1)*m.W/(2*w)]
	}
	return out
}

// ResizeFrame is Resize for an index picture as a frame, into dst's size.
func ResizeFrame(dst, src *video.Frame) {
	dst.PTS = src.PTS
	for i := range dst.W * dst.H {
		from := (i/dst.W*2+1)*src.H/(2*dst.H)*src.W + (i%dst.W*2+1)*src.W/(2*dst.W)
		copy(dst.Pix[3*i:3*i+3], src.Pix[3*from:])
	}
}

// Edges draws boundaries into dst, which has m's size: 255, where a network
// sees 1, at pixels whose id is not that of one of the four neighbours, and 0
// elsewhere.
func Edges(dst *video.Frame, m *Index) error {
	if dst.W != m.W || dst.H != m.H {
		return fmt.Errorf("draw edges: a %dx%d map into a %dx%d frame", m.W, m.H, dst.W, dst.H)
	}
	for i, id := range m.ID {
		x, y, v := i%m.W, i/m.W, byte(0)
		if x > 0 && m.ID[i-1] != id || x < m.W-1 && m.ID[i+1] != id || y > 0 && m.ID[i-m.W] != id || y < m.H-1 && m.ID[i+m.W] != id {
			v = 255
		}
		dst.Pix[3*i], dst.Pix[3*i+1], dst.Pix[3*i+2] = v, v, v
	}
	return nil
}

// Pack makes f, an index picture, one whose pixels differ where labels or
// instances do: the label stays in the first byte, the instance's high and low
// bytes come into the others. So one picture says where every boundary is.
func Pack(f *video.Frame, instances *Index) error {
	if f.W != instances.W || f.H != instances.H {
		return fmt.Errorf("pack instances: a %dx%d map into a %dx%d frame", instances.W, instances.H, f.W, f.H)
	}
	for i, id := range instances.ID {
		f.Pix[3*i+1], f.Pix[3*i+2] = byte(id>>8), byte(id)
	}
	return nil
}

// Fill makes f, of m's size, the index picture of m. Ids above MaxID are
// refused.
func (m *Index) Fill(f *video.Frame) error {
	if f.W != m.W || f.H != m.H {
		return fmt.Errorf("fill index picture: a %dx%d map into a %dx%d frame", m.W, m.H, f.W, f.H)
	}
	if err := m.Check(MaxID + 1); err != nil {
		return err
	}
	for i, id := range m.ID {
		f.Pix[3*i], f.Pix[3*i+1], f.Pix[3*i+2] = byte(id), byte(id), byte(id)
	}
	return nil
}
