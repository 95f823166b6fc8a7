package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/weights"
)

// adopt fills what a new run begins with from the checkpoint of another: every
// weight that is there by the same name and shape, its mean rather than itself
// where there is one. What else there is stays as it was made: new scales of
// networks, and all that optimisers keep. Directions of spectral norms turn to
// the weights that there are then. Unfit are weights of the model that are there in
// another shape.
func adopt(path string, states []State) (n int, unfit []string, err error) {
	f, err := weights.Open(path)
	if err != nil {
		return 0, nil, fmt.Errorf("begin from checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	model, vars := 0, map[string]engine.Buffer{}
	for _, s := range states {
		vars[s.Name] = s.Buffer
		name := s.Name
		own := strings.TrimPrefix(name, emaPrefix)
		if !isWeight(own) {
			continue
		}
		if _, ok := f.Info(emaPrefix + own); ok {
			name = emaPrefix + own
		} else {
			name = own
		}
		info, ok := f.Info(name)
		if !ok || !slices.Equal(info.Shape, []int(s.Buffer.Shape())) {
			if ok && s.Model {
				unfit = append(unfit, name)
			}
			continue
		}
		x := make([]float32, info.Elements())
		if err := errors.Join(f.Float32(name, x), s.Buffer.Write(x)); err != nil {
			return n, nil, fmt.Errorf("begin from checkpoint %s: %q: %w", path, name, err)
		}
		if n++; s.Model {
			model++
		}
	}
	if model == 0 {
		return n, nil, fmt.Errorf("begin from checkpoint %s: it has no weight of this network, by name and shape", path)
	}
	for name, b := range vars {
		if isDirection(name) {
			if err := aim(b, vars[strings.TrimSuffix(name, "_v")]); err != nil {
				return n, nil, fmt.Errorf("begin from checkpoint %s: %q: %w", path, name, err)
			}
		}
	}
	return n, unfit, nil
}

// isWeight tells weights, of any network, from what optimisers keep.
func isWeight(name string) bool {
	return !strings.HasSuffix(name, "adam_m") && !strings.HasSuffix(name, "adam_v") &&
		!strings.HasSuffix(name, collected) && !strings.HasSuffix(name, "steps")
}

// LastCheckpoint is the newest checkpoint of a run folder, "" where there is
// none, and whether the run has reached its last step with it.
func LastCheckpoint(dir string) (path string, done bool, err error) {
	c := checkpointsOf(dir)
	last, err := c.last()
	if err != nil || last == nil {
		return "", false, err
	}
	return last.path, last.Step >= last.Plan.Steps, nil
}
