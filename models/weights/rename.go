package weights

import (
	"fmt"
	"regexp"
	"strings"
)

// Rule changes the names that it matches. Give Prefix or Match, not both.
type Rule struct {
	Prefix string // matches at the start of a name; To takes its place
	Match  string // regular expression; To takes the place of every match, with $1 for groups
	To     string
	Drop   bool // matching tensors are left out instead
}

// Rename applies rules in order, each to what the one before it made. The zero
// value changes nothing.
type Rename struct{ rules []rule }

type rule struct {
	Rule
	match *regexp.Regexp
}

// NewRename compiles rules.
func NewRename(rules ...Rule) (Rename, error) {
	var r Rename
	for i, x := range rules {
		if (x.Prefix == "") == (x.Match == "") || x.Drop && x.To != "" {
			return Rename{}, fmt.Errorf("renaming rule %d needs either Prefix or Match, and either To or Drop", i+1)
		}
		c := rule{Rule: x}
		if x.Match != "" {
			var err error
			if c.match, err = regexp.Compile(x.Match); err != nil {
				return Rename{}, fmt.Errorf("renaming rule %d: %w", i+1, err)
			}
		}
		r.rules = append(r.rules, c)
	}
	return r, nil
}

// Apply gives the new name, or false where the tensor is to be left out.
func (r Rename) Apply(name string) (string, bool) {
	for _, x := range r.rules {
		if x.match == nil {
			rest, ok := strings.CutPrefix(name, x.Prefix)
			if ok && x.Drop {
				return "", false
			}
			if ok {
				name = x.To + rest
			}
			continue
		}
		if x.Drop && x.match.MatchString(name) {
			return "", false
		}
		if !x.Drop {
			name = x.match.ReplaceAllString(name, x.To)
		}
	}
	return name, true
}

// Map applies the rules to all names of a file and returns the old name of
// each new one. Two names that become one are an error.
func (r Rename) Map(names []string) (map[string]string, error) {
	old := make(map[string]string, len(names))
	for _, n := range names {
		to, keep := r.Apply(n)
		if !keep {
			continue
		}
		if first, taken := old[to]; taken {
			return nil, fmt.Errorf("renaming: %q and %q both become %q", first, n, to)
		}
		old[to] = n
	}
	return old, nil
}
