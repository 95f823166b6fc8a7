package weights

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxNesting = 16      // dictionaries within dictionaries
	maxEntries = 1 << 18 // entries visited; shared dictionaries count each time
	maxName    = 500     // bytes of a tensor's name, its dictionaries' names included
)

// stateDict finds the named tensors of an unpickled checkpoint.
func stateDict(root any, o PTHOptions) ([]string, map[string]*pthTensor, error) {
	d, ok := root.(*pyDict)
	if !ok {
		return nil, nil, errors.New("it holds no dictionary of tensors: save the network's state_dict()")
	}
	if o.Key != "" {
		inner, ok := d.get(o.Key).(*pyDict)
		if !ok {
			return nil, nil, fmt.Errorf("it holds no dictionary %q, only %s", o.Key, d.keys())
		}
		d = inner
	}
	if d.optimizer() {
		return nil, nil, errors.New("it is an optimizer state, not a network: give the file of the network")
	}
	w := walker{tensors: map[string]*pthTensor{}}
	for range maxNesting {
		inner, err := w.wrapped(d)
		if err != nil {
			return nil, nil, err
		}
		if inner == nil {
			break
		}
		d = inner
	}
	if err := w.walk(d, "", 0); err != nil {
		return nil, nil, err
	}
	if len(w.names) == 0 {
		return nil, nil, errors.New("it holds no tensors")
	}
	if o.KeepModule {
		return w.names, w.tensors, nil
	}
	names := TrimModule(w.names)
	tensors := make(map[string]*pthTensor, len(names))
	for i, n := range names {
		tensors[n] = w.tensors[w.names[i]]
	}
	return names, tensors, nil
}

// walker collects tensors; visited bounds its work, because a pickle may
// refer to one dictionary many times, or to itself.
type walker struct {
	visited int
	names   []string
	tensors map[string]*pthTensor
}

func (w *walker) walk(d *pyDict, prefix string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("its dictionaries are nested deeper than %d", maxNesting)
	}
	for _, item := range d.items {
		if w.visited++; w.visited > maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		key, ok := item.key.(string)
		if !ok {
			continue
		}
		if len(prefix)+len(key) > maxName {
			return fmt.Errorf("it has a name longer than %d bytes", maxName)
		}
		switch v := item.value.(type) {
		case *pthTensor:
			if w.tensors[prefix+key] == nil {
				w.names = append(w.names, prefix+key)
			}
			w.tensors[prefix+key] = v // as in Python, the last of a name counts
		case *pyDict:
			if v.optimizer() {
				continue
			}
			if err := w.walk(v, prefix+key+".", depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// wrapped is the one dictionary with tensors in d, if d has no tensors itself
// and no second such dictionary.
func (w *walker) wrapped(d *pyDict) (*pyDict, error) {
	var found *pyDict
	for _, item := range d.items {
		switch v := item.value.(type) {
		case *pthTensor:
			return nil, nil
		case *pyDict:
			if v.optimizer() {
				continue
			}
			probe := walker{visited: w.visited, tensors: map[string]*pthTensor{}}
			err := probe.walk(v, "", 1)
			w.visited = probe.visited
			if err != nil {
				return nil, err
			}
			if len(probe.names) > 0 {
				if found != nil {
					return nil, nil
				}
				found = v
			}
		}
	}
	return found, nil
}

// get is the last value under a key, nil where there is none.
func (d *pyDict) get(key string) any {
	for _, item := range slices.Backward(d.items) {
		if item.key == key {
			return item.value
		}
	}
	return nil
}

func (d *pyDict) keys() string {
	var keys []string
	for _, item := range d.items[:min(len(d.items), 20)] {
		if key, ok := item.key.(string); ok {
			keys = append(keys, fmt.Sprintf("%.40q", key))
		}
	}
	return strings.Join(keys, ", ")
}

// optimizer reports whether d is the state of a torch.optim optimizer, which
// has these two keys and few others.
func (d *pyDict) optimizer() bool {
	return len(d.items) < 8 && d.get("state") != nil && d.get("param_groups") != nil
}
