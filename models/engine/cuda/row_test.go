//go:build cgo && linux

package cuda_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
)

// row is work that the table says the time of. It is measured in a process of its
// own, and so is what PyTorch does of it.
type row struct {
	kind         string // forward, rate, step, clip or lockstep
	net          models.Vid2Vid
	batch, h, w  int
	precision    engine.Precision
	rounds, runs int           // medians are of rounds, each of so many runs; a clip's are its frames
	limit        time.Duration // of ours
	peer         time.Duration // of PyTorch's; 0 where it is not asked
	hows         []string      // of PyTorch's ways, the dearest last
	goals        []goal
}

// goal is what is wanted of a row.
type goal struct {
	of   measure
	want float64
}

// measure is what a goal counts.
type measure string

const (
	ofPeer   measure = "x PyTorch's best"
	ofRate   measure = "% of the rate of bf16 products"
	ofFrames measure = "frames/s"
	ofAlone  measure = "x the frames/s of one clip"
	ofCost   measure = "% beside the launches" // at most, the others are at least
)

var precisionNames = map[engine.Precision]string{engine.Float32: "f32", engine.BFloat16: "bf16", engine.TF32: "tf32"}

func (r row) String() string {
	size, p := fmt.Sprintf("%dx%d", r.h, r.w), precisionNames[r.precision]
	switch r.kind {
	case "rate":
		return fmt.Sprintf("product of matrices of %d, %s", r.h, p)
	case "step":
		return fmt.Sprintf("training step ngf %d, %s, %s", r.net.NGF, size, p)
	case "clip":
		return fmt.Sprintf("clip of %d frames ngf %d, %s, %s", r.runs, r.net.NGF, size, p)
	case "lockstep":
		return fmt.Sprintf("lockstep of %d clips ngf %d, %s, %s", r.batch, r.net.NGF, size, p)
	}
	name := "composite"
	if r.net.Scales > 1 {
		name = fmt.Sprintf("%d scales", r.net.Scales)
	}
	return fmt.Sprintf("%s ngf %d, %d x %s, %s", name, r.net.NGF, r.batch, size, p)
}

// program is a generator's.
func (r row) program() (*engine.Program, error) {
	return models.GeneratorProgram(&r.net, r.batch, r.h, r.w)
}

// forward is a composite generator's row.
func forward(ngf, batch, h, w int, p engine.Precision) row {
	net := *models.DefaultVid2Vid()
	net.NGF = ngf
	return row{kind: "forward", net: net, batch: batch, h: h, w: w, precision: p, rounds: 7, runs: 10}
}

// city is the published network of three scales, for pictures of 1024x2048.
func city(ngf int) models.Vid2Vid {
	net := *models.DefaultVid2Vid()
	net.NGF, net.Scales, net.LabelNC, net.Edges, net.FG = ngf, 3, 35, true, true
	return net
}

// as makes a row of another kind.
func (r row) as(kind string, rounds, runs int) row {
	r.kind, r.rounds, r.runs = kind, rounds, runs
	return r
}

// within gives a row its time, and what is wanted of it.
func (r row) within(limit, peer time.Duration, hows []string, goals ...goal) row {
	r.limit, r.peer, r.hows, r.goals = limit*time.Second, peer*time.Second, hows, goals
	return r
}

// onTheCard is what make test-cuda measures, the most wanted first.
func onTheCard() []row {
	most, all := []string{"eager", "graph", "compiled"}, []string{"eager", "graph", "compiled", "tuned"}
	bf16 := engine.BFloat16
	published := forward(128, 1, 1024, 2048, bf16)
	published.net = city(128)
	return []row{
		forward(128, 1, 512, 1024, bf16).within(100, 75, all, goal{ofPeer, 1.5}, goal{ofRate, 45}),
		forward(0, 1, 8192, 8192, bf16).as("rate", 0, 20).within(40, 30, most[:1]),
		forward(128, 1, 256, 512, bf16).within(60, 60, most, goal{ofPeer, 2}),
		forward(128, 1, 256, 512, bf16).as("step", 1, 15).within(100, 75, most, goal{ofPeer, 1.3}),
		forward(128, 1, 512, 1024, bf16).as("clip", 5, 60).within(60, 0, nil, goal{ofCost, 3}),
		forward(64, 8, 256, 256, bf16).as("lockstep", 5, 120).within(60, 0, nil, goal{ofAlone, 3}),
		forward(128, 1, 512, 1024, engine.TF32).within(75, 60, most, goal{ofPeer, 1.3}),
		published.within(75, 60, most[:2], goal{ofFrames, 60}),
		forward(128, 1, 256, 512, engine.Float32).within(60, 45, most[:2]),
	}
}

// onTheFake is a tiny row of every kind.
func onTheFake() []row {
	tiny := func(r row) row {
		r.net.Downs, r.net.Blocks, r.rounds, r.runs = 1, 1, 1, 2
		return r
	}
	bf16, most, all := engine.BFloat16, []string{"eager"}, []string{"eager", "tuned"}
	scales := forward(0, 1, 16, 24, bf16)
	scales.net = city(8)
	scales.net.LocalBlocks = 1
	return []row{
		tiny(forward(4, 2, 16, 24, bf16)).within(60, 60, all, goal{ofPeer, 1.5}, goal{ofRate, 45}),
		forward(0, 1, 16, 16, bf16).as("rate", 0, 2).within(60, 2, most),
		tiny(forward(4, 1, 32, 32, bf16)).as("step", 1, 2).within(60, 60, most, goal{ofPeer, 1.3}),
		tiny(forward(4, 1, 16, 24, bf16)).as("clip", 1, 4).within(60, 0, nil, goal{ofCost, 3}),
		tiny(forward(4, 2, 16, 24, bf16)).as("lockstep", 1, 3).within(60, 0, nil, goal{ofAlone, 3}),
		tiny(scales).within(60, 60, most, goal{ofFrames, 60}),
	}
}

// rows are those of this machine.
func rows() []row {
	if onCard {
		return onTheCard()
	}
	return onTheFake()
}

// peerOf is what testdata/peer.py is asked for.
func (r row) peerOf(hows []string, device string) string {
	n := r.net
	text, err := json.Marshal(map[string]any{
		"kind": r.kind, "batch": r.batch, "h": r.h, "w": r.w, "precision": precisionNames[r.precision], "hows": hows, "device": device, "ndf": r.ndf(),
		"net": map[string]any{"ngf": n.NGF, "n_downsample": n.Downs, "n_blocks": n.Blocks, "n_scales_spatial": max(n.Scales, 1),
			"n_blocks_local": max(n.LocalBlocks, 0), "label_nc": n.LabelNC, "use_instance": n.Edges, "fg": n.FG},
	})
	if err != nil {
		panic(err) // numbers and texts alone
	}
	return string(text)
}

// ndf is how wide discriminators are: 64 for the published generator.
func (r row) ndf() int { return (r.net.NGF + 1) / 2 }
