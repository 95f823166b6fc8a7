package published

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/v2v/v2v/models"
)

// vid2vid reads the composite generator, and its finer scales.
func (r *recogniser) vid2vid() (string, models.Network, error) {
	const name = "vid2vid"
	v := &models.Vid2Vid{Norm: r.norm("model_down_seg.2"), NoFlow: !r.has("model_final_flow.1.weight"), FG: r.has("indv_final.1.weight")}
	width, total, _ := r.conv("model_down_seg.1")
	_, past, _ := r.conv("model_down_img.1")
	v.NGF, v.Frames = width, past/3+1
	if past < 3 || past%3 != 0 || total%v.Frames != 0 {
		if _, _, local := r.conv("model_up_img.0.conv_block.1"); local {
			return name, nil, errFiner
		}
		return name, nil, fmt.Errorf("%w: it looks like vid2vid, but sees %d channels of control pictures and %d of frames", ErrUnknown, total, past)
	}
	v.Downs = r.run("model_down_seg.%d", 4, 3)
	inner := 4 + 3*v.Downs
	v.Blocks = r.blocks("model_down_seg", inner) + r.blocks("model_res_img", 0)
	if _, _, local := r.conv("model_up_img.0.conv_block.1"); local {
		return name, nil, errFiner
	}
	v.Scales = 1
	for r.has(fmt.Sprintf("netG%d.model_down_seg.1.weight", v.Scales)) {
		v.Scales++
	}
	if v.Scales > 1 {
		v.LocalBlocks = r.blocks("netG1.model_up_img", 0)
	} else if r.around.Scales {
		r.assume("n_scales_spatial", "1", "import the folder for the finer scales in it")
	}
	d := vid2vidReading
	d.labels = v.FG
	c, err := r.channels(total/v.Frames, d)
	if err != nil {
		return name, nil, err
	}
	v.InputNC, v.LabelNC, v.Edges = c.input, c.label, c.edges
	v.Instances = c.edges && c.label == 0 && c.input > 3 // boundaries of several pictures are nobody's
	r.foreground(v)
	v.Stats = r.stats(v.Norm)
	r.firstFrame()
	r.pictures()
	return name, v, nil
}

var errFiner = fmt.Errorf("%w: they are a finer scale of vid2vid: give the folder that holds latest_net_G0.pth too", ErrUnknown)

// foreground settles which labels the foreground's generator paints.
func (r *recogniser) foreground(v *models.Vid2Vid) {
	const change = "--fg-labels N,N,..."
	if !v.FG {
		return
	}
	known := r.around.Options.numbers("fg_labels")
	switch {
	case r.choices.FGLabels != nil:
		v.FGLabels = r.choices.FGLabels
	case known != nil:
		v.FGLabels = known
		r.read("fg_labels", joined(known), change)
	case v.LabelNC > 26:
		v.FGLabels = []int{26}
		r.assume("fg_labels", "26 (cars)", change)
	}
}

func joined(ns []int) string {
	var text []string
	for _, n := range ns {
		text = append(text, strconv.Itoa(n))
	}
	return strings.Join(text, ",")
}

// firstFrame records what stands for the frames before a clip's first.
func (r *recogniser) firstFrame() {
	const option, change = "no_first_img", "v2v convert --first PICTURE"
	switch without := r.around.Options.flag(option); {
	case without == nil:
		r.assume(option, "true (made of nothing)", change)
	case *without:
		r.read(option, "true (made of nothing)", "")
	default:
		r.read(option, "false (it wants one)", change)
	}
}
