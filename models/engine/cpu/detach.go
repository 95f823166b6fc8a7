//go:build cgo

package cpu

import (
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	// A copy, unless nobody else wants the input.
	register(func(c *compiler, i engine.Instr) error {
		i.Op = op.Scale{By: 1}
		return emitFlat(c, i)
	}, op.Detach{})
}
