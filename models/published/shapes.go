package published

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/v2v/v2v/models"
)

// Shapes are the tensors of a checkpoint by name. Those of a finer scale of
// vid2vid begin with netG1. or netG2.
type Shapes map[string][]int

// conv is the first two axes of a convolution's weight: output and input
// channels, or the other way round where it is transposed.
func (s Shapes) conv(name string) (first, second int, ok bool) {
	shape := s[name+".weight"]
	if len(shape) != 4 {
		return 0, 0, false
	}
	return shape[0], shape[1], true
}

func (s Shapes) has(name string) bool {
	_, ok := s[name]
	return ok
}

// run counts the convolutions named by format from the given number on, by
// steps.
func (s Shapes) run(format string, from, step int) int {
	n := 0
	for {
		if _, _, ok := s.conv(fmt.Sprintf(format, from+n*step)); !ok {
			return n
		}
		n++
	}
}

// blocks counts the residual blocks of a Sequential from an index on.
func (s Shapes) blocks(name string, from int) int { return s.run(name+".%d.conv_block.1", from, 1) }

// norm is the kind of normalisation that a layer of this name shows.
func (s Shapes) norm(layer string) string {
	if s.has(layer + ".weight") {
		return "batch"
	}
	return "instance"
}

// stored are what batch normalisation remembers of training.
var stored = []string{".running_mean", ".running_var", ".num_batches_tracked"}

// statistic reports whether a tensor is one of those.
func statistic(name string) bool {
	return slices.ContainsFunc(stored, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// running reports whether a checkpoint has stored statistics.
func (s Shapes) running() bool {
	for name := range s {
		if strings.HasSuffix(name, stored[0]) {
			return true
		}
	}
	return false
}

// errMisfit is wrapped where a network was recognised, but not all of it.
var errMisfit = errors.New("its tensors are not those of the network")

// fits compares a checkpoint with a network, both ways. What remains of it may
// be stored statistics, which are of no use then.
func (s Shapes) fits(name string, net models.Network) error {
	params, err := models.Parameters(net)
	if err != nil {
		return err
	}
	var wrong []string
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		if shape, ok := s[p.Name]; !ok {
			wrong = append(wrong, p.Name+" is missing")
		} else if !slices.Equal(shape, []int(p.Shape)) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", p.Name, shape, []int(p.Shape)))
		}
	}
	for _, n := range s.names() {
		if !known[n] && !statistic(n) {
			wrong = append(wrong, n+" is not part of it")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(wrong) - 3; n > 0 {
		wrong, more = wrong[:3], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w %s: %s%s", errMisfit, name, strings.Join(wrong, "; "), more)
}

// names are sorted.
func (s Shapes) names() []string {
	names := make([]string, 0, len(s))
	for n := range s {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
