package flow

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// The Middlebury .flo format (Baker et al. 2011): the float 202021.25 (which
// reads "PIEH" in ASCII), width and height as 32-bit integers, then U and V of
// every pixel interleaved, row by row, as 32-bit floats; all little endian.
const (
	floTag    = 202021.25
	floHeader = 12
	// maxSide is what the Middlebury reader accepts; maxPixels bounds a field
	// to 1 GiB, sixteen times an 8K frame's worth being no flow of ours.
	maxSide   = 99999
	maxPixels = 1 << 27
)

// ReadFlo reads one field and leaves what follows it in r unread. Memory grows
// with the data that is really there, not with what the header claims.
func ReadFlo(r io.Reader) (*Field, error) {
	var head [floHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read .flo header: %w", short(err))
	}
	if tag := math.Float32frombits(binary.LittleEndian.Uint32(head[:])); tag != floTag {
		return nil, fmt.Errorf("read .flo header: not a .flo file: starts with %q, want \"PIEH\"", head[:4])
	}
	w := int(int32(binary.LittleEndian.Uint32(head[4:])))
	h := int(int32(binary.LittleEndian.Uint32(head[8:])))
	if w < 1 || h < 1 || w > maxSide || h > maxSide || w*h > maxPixels {
		return nil, fmt.Errorf("read .flo header: size %dx%d out of range", w, h)
	}
	f := &Field{W: w, H: h}
	row := make([]byte, 8*w)
	for y := 0; y < h; y++ {
		if _, err := io.ReadFull(r, row); err != nil {
			return nil, fmt.Errorf("read .flo row %d of %d: %w", y, h, short(err))
		}
		for i := 0; i < len(row); i += 8 {
			f.U = append(f.U, math.Float32frombits(binary.LittleEndian.Uint32(row[i:])))
			f.V = append(f.V, math.Float32frombits(binary.LittleEndian.Uint32(row[i+4:])))
		}
	}
	return f, nil
}

// short makes a stream that ends early an unexpected end, never a plain one.
func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteFlo writes one field. It refuses what ReadFlo would refuse.
func WriteFlo(w io.Writer, f *Field) error {
	if f.W < 1 || f.H < 1 || f.W > maxSide || f.H > maxSide || f.W*f.H > maxPixels {
		return fmt.Errorf("write .flo: size %dx%d out of range", f.W, f.H)
	}
	if len(f.U) != f.W*f.H || len(f.V) != f.W*f.H {
		return fmt.Errorf("write .flo: %d and %d components for %dx%d pixels", len(f.U), len(f.V), f.W, f.H)
	}
	buf := binary.LittleEndian.AppendUint32(nil, math.Float32bits(floTag))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(f.W))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(f.H))
	for y := 0; y < f.H; y++ {
		for i := y * f.W; i < (y+1)*f.W; i++ {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(f.U[i]))
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(f.V[i]))
		}
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("write .flo row %d of %d: %w", y, f.H, err)
		}
		buf = buf[:0]
	}
	return nil
}
