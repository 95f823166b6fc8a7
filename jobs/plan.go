package jobs

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Action is what a plan means to do with a clip.
type Action string

const (
	ActionRun  Action = "run"  // there is no output yet
	ActionRedo Action = "redo" // there is one, and Reason says why it does not stand
	ActionSkip Action = "skip" // there is one, and Reason says why it stands
	ActionFail Action = "fail" // the input cannot be read: Reason
)

// Overwrite says which existing outputs are made again.
type Overwrite int

const (
	OverwriteStale  Overwrite = iota // those whose sidecar is missing or no longer true
	OverwriteNever                   // none
	OverwriteAlways                  // all
)

// PlanOptions say which clips are wanted and where to.
type PlanOptions struct {
	Inputs  []string // DIR, FILE or GLOB
	OutDir  string   // outputs keep their paths relative to the DIR, below OutDir
	Ext     string   // of the outputs; ".mp4" where empty
	Folders bool     // outputs are folders of pictures: no extension

	Include []string // clips that match none are left out; empty for all
	Exclude []string // clips that match one are left out

	Overwrite Overwrite
	Checksum  bool // know inputs by every byte, not by size, time and ends

	Model   string // identity of the model, a hash: another one makes outputs stale
	Options string // identity of everything else that changes an output
}

// Item is one clip of a plan.
type Item struct {
	Input  string `json:"input"`
	Output string `json:"output"`
	Rel    string `json:"rel"`              // of the output, below OutDir, slash-separated
	Stills bool   `json:"stills,omitempty"` // the input is a folder of pictures
	Size   int64  `json:"size"`             // bytes of the input
	// Frames is how many the input announces, 0 where nobody has looked. The
	// caller may fill it in; it sharpens the time left.
	Frames  int    `json:"frames,omitempty"`
	Action  Action `json:"action"`
	Reason  string `json:"reason,omitempty"`
	Damaged string `json:"damaged,omitempty"` // of a skipped clip: what its input lacks
}

// Plan is the clips of a batch in the order they are run.
type Plan struct {
	Options PlanOptions
	Items   []Item
}

// UsageError is a request that cannot be planned; its text says why and what
// to change.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// MakePlan finds the clips and decides what to do with each. It writes nothing.
func MakePlan(ctx context.Context, o PlanOptions) (*Plan, error) {
	if o.OutDir == "" {
		return nil, &UsageError{"no output folder given"}
	}
	keep, err := filter(o.Include, o.Exclude)
	if err != nil {
		return nil, err
	}
	d := &finder{outDir: canonical(o.OutDir), keep: keep, seen: map[string]bool{}}
	for _, arg := range o.Inputs {
		if err := d.argument(ctx, arg); err != nil {
			return nil, err
		}
	}
	p := &Plan{Options: o}
	for _, s := range d.found {
		p.Items = append(p.Items, o.item(s))
	}
	slices.SortFunc(p.Items, func(a, b Item) int { return natural(a.Rel, b.Rel) })
	if err := p.conflicts(); err != nil {
		return nil, err
	}
	for i := range p.Items {
		if it := &p.Items[i]; it.Action != ActionFail {
			o.decide(ctx, it)
		}
		if ctx.Err() != nil { // what was decided may be wrong then
			return nil, context.Cause(ctx)
		}
	}
	return p, nil
}

func (o PlanOptions) item(s source) Item {
	rel := s.rel
	if ext := path.Ext(rel); !s.stills && ext != path.Base(rel) {
		rel = strings.TrimSuffix(rel, ext)
	}
	switch {
	case o.Folders:
	case o.Ext == "":
		rel += ".mp4"
	default:
		rel += "." + strings.TrimPrefix(o.Ext, ".")
	}
	it := Item{Input: s.path, Output: filepath.Join(o.OutDir, filepath.FromSlash(rel)), Rel: rel, Stills: s.stills, Size: s.size}
	if s.err != nil {
		it.Action, it.Reason = ActionFail, s.err.Error()
	}
	return it
}

// conflicts refuses plans in which a file would be written twice, or read and
// written.
func (p *Plan) conflicts() error {
	byRel, inputs := map[string]Item{}, map[string]bool{}
	for _, it := range p.Items {
		inputs[identity(it.Input)] = true
	}
	for _, it := range p.Items {
		if other, ok := byRel[it.Rel]; ok {
			return &UsageError{fmt.Sprintf("%s and %s would both be written to %s: rename or exclude one of them, or give them separate output folders",
				other.Input, it.Input, it.Output)}
		}
		byRel[it.Rel] = it
		if inputs[identity(it.Output)] {
			return &UsageError{fmt.Sprintf("%s would be written over an input: give another output folder", it.Output)}
		}
		if it.Rel == stateDir || strings.HasPrefix(it.Rel, stateDir+"/") {
			return &UsageError{fmt.Sprintf("%s would be written into %s, which is not for outputs: rename it", it.Input, stateDir)}
		}
	}
	for _, it := range p.Items {
		for dir := path.Dir(it.Rel); dir != "."; dir = path.Dir(dir) {
			if other, ok := byRel[dir]; ok {
				return &UsageError{fmt.Sprintf("the output of %s (%s) would lie inside that of %s (%s): rename or exclude one of them",
					it.Input, it.Output, other.Input, other.Output)}
			}
		}
	}
	return nil
}

// decide sets the action of an item and its reason from what is on disk now.
func (o PlanOptions) decide(ctx context.Context, it *Item) {
	_, err := os.Lstat(it.Output)
	exists := err == nil
	side := readSidecar(sidecarPath(o.OutDir, clipID(it.Rel)))
	set := func(a Action, reason string) { it.Action, it.Reason = a, reason }
	it.Damaged = ""
	switch {
	case !exists && side != nil:
		set(ActionRun, "output is gone")
	case !exists:
		set(ActionRun, "")
	case o.Overwrite == OverwriteAlways:
		set(ActionRedo, "overwriting was asked for")
	case o.Overwrite == OverwriteNever:
		set(ActionSkip, "output exists")
	case side == nil:
		set(ActionRedo, "output has no record: unfinished or not made here")
	default:
		if why := o.stale(ctx, it, side); why != "" {
			set(ActionRedo, why)
			return
		}
		set(ActionSkip, "done")
		it.Damaged = side.Result.Damaged
	}
}

// stale says why the output that a sidecar describes does not stand, or "".
func (o PlanOptions) stale(ctx context.Context, it *Item, side *sidecar) string {
	if side.Model != o.Model {
		return "model changed"
	}
	if side.Options != o.Options {
		return "options changed"
	}
	made, err := printOutput(ctx, it.Output)
	if err != nil {
		return fmt.Sprintf("output cannot be read: %v", err)
	}
	if why := side.Made.changed(made); why != "" {
		return "output changed: " + why
	}
	in, err := o.printer().take(ctx, it.Input)
	if err != nil {
		return fmt.Sprintf("input cannot be read: %v", err)
	}
	if why := side.Input.changed(in); why != "" {
		return "input changed: " + why
	}
	return ""
}

func (o PlanOptions) printer() printer { return printer{full: o.Checksum, times: true} }
