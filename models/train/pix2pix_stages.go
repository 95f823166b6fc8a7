package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/v2v/v2v/models"
)

// pairStage is a part of a run of training on pairs. pix2pixHD's local enhancer
// has three (Wang et al. 2018, section 3.2): the global generator alone on
// reduced pictures, then what lies around it, then both. Each begins with a new
// optimiser of the generator.
type pairStage struct {
	from   int // first step
	fromD  int // first step of the discriminator's optimiser
	net    models.Network
	halved int                    // how often pictures are halved before anything sees them
	learns func(name string) bool // which of net's parameters; nil for all

	g, d, shown *step // d is nil without an adversary
	dr, sl      *step // d with the R1 penalty, and what finds the slope
}

// fake is the name of the made pictures.
func (s *pairStage) fake() string { return levelled("fake", s.halved) }

// stages are the parts of a run, in order.
func (c Pix2PixConfig) stages(net models.Network) []*pairStage {
	local, ok := net.(*models.Local)
	if !ok {
		return []*pairStage{{net: net}}
	}
	var all []*pairStage
	if c.GlobalSteps > 0 {
		g := local.Global
		g.NGF <<= local.LocalEnhancers
		all = append(all, &pairStage{net: &g, halved: local.LocalEnhancers})
	}
	around := c.GlobalSteps
	if c.FixGlobal > 0 {
		all = append(all, &pairStage{from: around, fromD: around, net: net, learns: func(name string) bool { return !strings.HasPrefix(name, globalPart) }})
	}
	return append(all, &pairStage{from: around + c.FixGlobal, fromD: around, net: net})
}

// globalPart is what the names of the global generator inside a local enhancer
// begin with.
const globalPart = "model."

// lostHead tells the last convolution of the global generator, which the local
// enhancer around it does without.
func lostHead(net models.Network) func(name string) bool {
	local, ok := net.(*models.Local)
	if !ok {
		return func(string) bool { return false }
	}
	head := fmt.Sprintf("%s%d.", globalPart, 4+6*local.Downs+local.Blocks+1)
	return func(name string) bool { return strings.HasPrefix(name, head) }
}

// validateStages checks who learns when.
func (c Pix2PixConfig) validateStages(net models.Network) error {
	_, local := net.(*models.Local)
	switch {
	case c.GlobalSteps < 0 || c.FixGlobal < 0:
		return fmt.Errorf("global_steps is %d and fix_global %d; give at least 0", c.GlobalSteps, c.FixGlobal)
	case !local && (c.GlobalSteps > 0 || c.FixGlobal > 0):
		return fmt.Errorf("global_steps is %d and fix_global %d, which are for pix2pixHD_local alone", c.GlobalSteps, c.FixGlobal)
	}
	return nil
}

// enter is the stage that a step belongs to. Where one begins, the moments of
// the optimisers that begin with it are forgotten.
func (t *Pix2Pix) enter(step int) (*pairStage, error) {
	now := t.stages[0]
	for _, s := range t.stages {
		if step >= s.from {
			now = s
		}
	}
	if step != now.from || step == 0 {
		return now, nil
	}
	anew := []string{".adam_m", ".adam_v"}
	if now.fromD == step {
		anew = append(anew, ".dadam_m", ".dadam_v")
	}
	for name, b := range t.vars {
		if !slices.ContainsFunc(anew, func(end string) bool { return strings.HasSuffix(name, end) }) {
			continue
		}
		if err := b.Write(make([]float32, b.Shape().TotalSize())); err != nil {
			return nil, fmt.Errorf("forget %s: %w", name, err)
		}
	}
	return now, nil
}
