package weights

import (
	"fmt"
	"io"
)

// converter writes elements on as another type.
type converter struct {
	w        io.Writer
	from, to DType
	floats   []float32
	bytes    []byte
}

func newConverter(w io.Writer, from, to DType) (*converter, error) {
	c := &converter{w: w, from: from, to: to}
	if from != to {
		if !from.Float() || !to.valid() || !to.Float() {
			return nil, fmt.Errorf("%s does not convert to %s", from, to)
		}
		c.floats, c.bytes = make([]float32, chunk), make([]byte, chunk*to.Size())
	}
	return c, nil
}

// write takes whole elements.
func (c *converter) write(elements []byte) error {
	if c.from == c.to {
		_, err := c.w.Write(elements)
		return err
	}
	for size := c.from.Size(); len(elements) > 0; {
		n := min(chunk, len(elements)/size)
		toFloat32(c.floats[:n], elements, c.from)
		if bad := fromFloat32(c.bytes, c.floats[:n], c.to); bad >= 0 {
			return fmt.Errorf("%g does not fit %s", c.floats[bad], c.to)
		}
		if _, err := c.w.Write(c.bytes[:n*c.to.Size()]); err != nil {
			return err
		}
		elements = elements[n*size:]
	}
	return nil
}

// copyTo gives the elements between begin and end to c, and their pages back.
func (m *mapping) copyTo(c *converter, begin, end int) error {
	step := window / c.from.Size() * c.from.Size()
	for ; begin < end; begin += step {
		last := min(begin+step, end)
		if err := c.write(m.data[begin:last]); err != nil {
			return err
		}
		if err := m.release(begin, last); err != nil {
			return fmt.Errorf("releasing mapped pages: %w", err)
		}
	}
	return nil
}

// CopyTo writes a tensor's elements in order as type to, which is the tensor's
// own, or another floating type for a floating type. It holds a few megabytes,
// whatever the tensor's size.
func (f *File) CopyTo(w io.Writer, name string, to DType) error {
	e, err := f.find(name)
	if err != nil {
		return err
	}
	c, err := newConverter(w, e.DType, to)
	if err == nil {
		err = f.m.copyTo(c, f.layout.data+e.begin, f.layout.data+e.end)
	}
	if err != nil {
		return fmt.Errorf("reading %s: tensor %q: %w", f.path, name, err)
	}
	return nil
}
