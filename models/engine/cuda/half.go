//go:build cgo

package cuda

import (
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// store decides which values lie on the card in bfloat16: in a bf16 program that
// learns nothing, those that convolutions alone read. They round what they read,
// so that nothing else changes: what comes out is the same to the bit.
func (c *compiler) store() {
	c.half = make([]bool, len(c.p.Values))
	if c.o.Precision != engine.BFloat16 {
		return
	}
	for v, val := range c.p.Values {
		if val.Role == engine.Variable {
			clear(c.half)
			return
		}
		c.half[v] = val.Role == engine.Temporary && !val.Output && val.Alias < 0 && c.made[v] >= 0
	}
	for _, i := range c.p.Code {
		c.half[i.Out] = c.half[i.Out] && c.writesHalf(i)
		for k, v := range i.Reads() {
			c.half[v] = c.half[v] && k == 0 && convolves(i.Op)
		}
	}
}

// convolves says that an operator's first input is a picture that convolutions
// read.
func convolves(o op.Spec) bool {
	switch o.(type) {
	case op.Conv, op.ConvT:
		return true
	}
	return false
}

// writesHalf says whether an instruction's kernels, and the libraries in their
// place, write bfloat16. cuBLASLt adds biases in float32 to float32 alone.
func (c *compiler) writesHalf(i engine.Instr) bool {
	switch o := i.Op.(type) {
	case op.Conv:
		_, product := convolutionOf(ofForward, c.convGeometry(i, o), nil).product()
		return !product
	case op.ConvT:
		_, product := convolutionOf(ofBackData, c.convTGeometry(i, o), nil).product()
		return !product
	case op.Normalize:
		return true
	}
	return false
}
