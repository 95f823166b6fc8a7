package published

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/models"
)

// nets are networks that weights alone tell, with what must be assumed for it.
var nets = []struct {
	name    string
	net     models.Network
	assumed string
}{
	{"vid2vid", &models.Vid2Vid{InputNC: 3, NGF: 8, Downs: 3, Blocks: 9, Frames: 3, Norm: "batch", Scales: 1}, "label_nc use_instance norm_stats no_first_img output"},
	{"vid2vid", &models.Vid2Vid{InputNC: 3, NGF: 8, Downs: 3, Blocks: 9, Frames: 3, Norm: "batch", Scales: 3, LocalBlocks: 3, FG: true, FGLabels: []int{26},
		LabelNC: 35, Edges: true}, "label_nc use_instance fg_labels norm_stats no_first_img output"},
	{"vid2vid", &models.Vid2Vid{InputNC: 1, NGF: 4, Downs: 2, Blocks: 4, Frames: 2, Norm: "instance", NoFlow: true, Scales: 2, LocalBlocks: 1},
		"label_nc use_instance no_first_img output"},
	{"vid2vid", &models.Vid2Vid{InputNC: 15, NGF: 4, Downs: 3, Blocks: 1, Frames: 3, Norm: "batch", Scales: 1}, "label_nc use_instance norm_stats no_first_img output"},
	{"vid2vid", &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 0, Frames: 4, Norm: "batch", Scales: 1, LabelNC: 20}, "label_nc use_instance norm_stats no_first_img output"},
	{"pix2pixHD_global", &models.Global{InputNC: 3, OutputNC: 3, NGF: 4, Downs: 4, Blocks: 9, Norm: "instance", LabelNC: 35, Edges: true}, "label_nc use_instance output"},
	{"pix2pixHD_global", &models.Global{InputNC: 3, OutputNC: 3, NGF: 4, Downs: 3, Blocks: 9, Norm: "instance", LabelNC: 35}, "label_nc use_instance output"},
	{"pix2pixHD_global", &models.Global{InputNC: 3, OutputNC: 1, NGF: 4, Downs: 4, Blocks: 8, Norm: "batch"}, "label_nc use_instance norm_stats output"},
	{"pix2pixHD_global", &models.Global{InputNC: 3, OutputNC: 3, NGF: 4, Downs: 2, Blocks: 3, Norm: "batch", Edges: true}, "label_nc use_instance norm_stats output"},
	{"pix2pixHD_local", &models.Local{Global: models.Global{InputNC: 3, OutputNC: 3, NGF: 2, Downs: 4, Blocks: 9, Norm: "instance", LabelNC: 35, Edges: true},
		LocalEnhancers: 1, LocalBlocks: 3}, "label_nc use_instance output"},
	{"pix2pixHD_local", &models.Local{Global: models.Global{InputNC: 3, OutputNC: 3, NGF: 2, Downs: 2, Blocks: 2, Norm: "batch"}, LocalEnhancers: 2},
		"label_nc use_instance norm_stats output"},
	{"pix2pixHD_z", &models.GlobalZ{InputNC: 15, OutputNC: 3, Z: 16, NGF: 4, Downs: 3, Blocks: 9, Norm: "instance"}, "label_nc use_instance features output"},
	{"pix2pixHD_z", &models.GlobalZ{InputNC: 3, OutputNC: 3, Z: 2, NGF: 4, Downs: 1, Blocks: 0, Norm: "batch"}, "label_nc use_instance features norm_stats output"},
	{"pix2pixHD_encoder", &models.Encoder{InputNC: 3, OutputNC: 3, NEF: 4, Downs: 4, Norm: "instance"}, ""},
	{"pix2pixHD_encoder", &models.Encoder{InputNC: 3, OutputNC: 16, NEF: 4, Downs: 2, Norm: "batch"}, "norm_stats"},
	{"unet", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 8, Norm: "batch", Dropout: true}, "norm_stats dropout output"},
	{"unet", &models.UNet{InputNC: 1, OutputNC: 2, NGF: 2, Levels: 5, Norm: "instance", Dropout: true}, "dropout output"},
	{"resnet", &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 4, Blocks: 9, Norm: "instance"}, "output"},
	{"resnet", &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 4, Blocks: 6, Norm: "batch", Dropout: true}, "norm_stats dropout output"},
	{"resnet", &models.ResNet{InputNC: 6, OutputNC: 3, NGF: 4, Blocks: 6, Norm: "instance", Dropout: true}, "dropout output"},
	{"resnet", &models.ResNet{InputNC: 1, OutputNC: 3, NGF: 4, Blocks: 1, Norm: "batch"}, "norm_stats output"},
	{"patchgan", &models.PatchGAN{InputNC: 6, NDF: 4, Layers: 3, Norm: "batch"}, "norm_stats"},
	{"patchgan", &models.PatchGAN{InputNC: 3, NDF: 4, Layers: 1, Norm: "instance"}, ""},
	{"multiscale", &models.Multiscale{InputNC: 39, NDF: 64, Layers: 3, NumD: 2, Norm: "instance"}, ""},
	{"multiscale", &models.Multiscale{InputNC: 39, NDF: 8, Layers: 4, NumD: 3, Norm: "batch", Widens: true}, "norm_stats"},
	{"multiscale", &models.Multiscale{InputNC: 6, NDF: 8, Layers: 3, NumD: 1, Norm: "batch", NoFeatures: true}, "norm_stats"},
	{"multiscale", &models.Multiscale{InputNC: 6, NDF: 8, Layers: 2, NumD: 2, Norm: "instance", NoFeatures: true}, ""},
}

// shapesOf are a network's parameters.
func shapesOf(t testing.TB, net models.Network) Shapes {
	t.Helper()
	params, err := models.Parameters(net)
	if err != nil {
		t.Fatal(err)
	}
	s := Shapes{}
	for _, p := range params {
		s[p.Name] = p.Shape
	}
	return s
}

// withStatistics adds what batch normalisation stores.
func (s Shapes) withStatistics() Shapes {
	for name, shape := range s {
		if layer, ok := strings.CutSuffix(name, ".weight"); ok && len(shape) == 1 {
			s[layer+".running_mean"], s[layer+".running_var"], s[layer+".num_batches_tracked"] = shape, shape, nil
		}
	}
	return s
}

func options(f Found) string {
	var names []string
	for _, a := range f.Assumed {
		names = append(names, a.Option)
	}
	return strings.Join(names, " ")
}

// TestRecognise: names and shapes alone give every option back.
func TestRecognise(t *testing.T) {
	for _, c := range nets {
		for _, s := range []Shapes{shapesOf(t, c.net), shapesOf(t, c.net).withStatistics()} {
			f, err := Recognise(s, Surroundings{}, Choices{})
			if err != nil {
				t.Errorf("%s %+v: %v", c.name, c.net, err)
				continue
			}
			if d := cmp.Diff(c.net, f.Net); f.Network != c.name || d != "" {
				t.Errorf("%s %+v is taken for %s: %s", c.name, c.net, f.Network, d)
			}
			if got := options(f); got != c.assumed {
				t.Errorf("%s %+v: assumed %q, want %q", c.name, c.net, got, c.assumed)
			}
			for _, a := range f.Assumed {
				if a.Source != "published default" || a.Value == "" {
					t.Errorf("%s: %+v", c.name, a)
				}
			}
		}
	}
}

// TestRunningStatistics: asked for, the stored ones are part of the network.
func TestRunningStatistics(t *testing.T) {
	s := shapesOf(t, &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "batch"})
	if _, err := Recognise(s, Surroundings{}, Choices{NormStats: "running"}); !errors.Is(err, ErrChoice) || !strings.Contains(err.Error(), "without stored statistics") {
		t.Error(err)
	}
	f, err := Recognise(s.withStatistics(), Surroundings{}, Choices{NormStats: "running"})
	if err != nil || f.Net.(*models.UNet).Stats != "running" || strings.Contains(options(f), "norm_stats") {
		t.Errorf("%+v, %v", f, err)
	}
	delete(s, "model.model.1.model.2.running_var")
	if _, err := Recognise(s, Surroundings{}, Choices{NormStats: "running"}); !errors.Is(err, errMisfit) {
		t.Error(err)
	}
	instance := shapesOf(t, &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 2, Blocks: 6, Norm: "instance"})
	if _, err := Recognise(instance, Surroundings{}, Choices{NormStats: "running"}); !errors.Is(err, ErrChoice) {
		t.Error(err)
	}
}

// TestChannels: what the channels of a control picture mean, by choice, by
// opt.txt and by default.
func TestChannels(t *testing.T) {
	yes, no := true, false
	n := func(i int) *int { return &i }
	for _, c := range []struct {
		vid2vid bool
		total   int
		o       Opt
		encoder int
		choices Choices
		want    string // input label edges features
	}{
		{true, 36, nil, 0, Choices{}, "3 35 true 0"},
		{true, 35, nil, 0, Choices{}, "3 35 false 0"},
		{true, 4, nil, 0, Choices{}, "3 0 true 0"},
		{true, 6, nil, 0, Choices{}, "6 0 false 0"},
		{true, 15, nil, 0, Choices{LabelNC: n(15)}, "3 15 false 0"},
		{true, 15, nil, 0, Choices{Edges: &yes}, "3 14 true 0"},
		{true, 20, nil, 0, Choices{LabelNC: n(19)}, "3 19 true 0"},
		{true, 20, nil, 0, Choices{LabelNC: n(0)}, "20 0 false 0"},
		{true, 36, nil, 0, Choices{Edges: &no}, "3 36 false 0"},
		{true, 20, Opt{"label_nc": "19", "use_instance": "True"}, 0, Choices{}, "3 19 true 0"},
		{true, 20, Opt{"label_nc": "0", "use_instance": "False"}, 0, Choices{}, "20 0 false 0"},
		{true, 20, Opt{"label_nc": "7", "use_instance": "True"}, 0, Choices{}, "3 20 false 0"},
		{true, 20, Opt{"label_nc": "19", "use_instance": "True"}, 0, Choices{LabelNC: n(20)}, "3 20 false 0"},
		{true, 20, nil, 0, Choices{LabelNC: n(12)}, "does not fit the weights"},
		{true, 1, nil, 0, Choices{Edges: &yes}, "does not fit the weights"},
		{true, 20, nil, 0, Choices{LabelNC: n(-1)}, "does not fit the weights"},
		{false, 36, nil, 0, Choices{}, "3 35 true 0"},
		{false, 151, nil, 0, Choices{}, "3 150 true 0"},
		{false, 35, nil, 0, Choices{}, "3 35 false 0"},
		{false, 3, nil, 0, Choices{}, "3 0 false 0"},
		{false, 39, nil, 3, Choices{}, "3 35 true 3"},
		{false, 39, nil, 0, Choices{Features: n(3)}, "3 35 true 3"},
		{false, 39, Opt{"label_nc": "35", "no_instance": "False", "instance_feat": "True", "feat_num": "3"}, 0, Choices{}, "3 35 true 3"},
		{false, 36, Opt{"label_nc": "36", "no_instance": "True", "instance_feat": "False", "feat_num": "3"}, 0, Choices{}, "3 36 false 0"},
		{false, 6, Opt{"label_nc": "0", "no_instance": "True", "label_feat": "True", "feat_num": "3"}, 0, Choices{}, "3 0 false 3"},
		{false, 5, nil, 0, Choices{Features: n(9)}, "does not fit the weights"},
	} {
		r := &recogniser{choices: c.choices, around: Surroundings{Options: c.o, Features: c.encoder}}
		d := pix2pixHDReading
		if c.vid2vid {
			d = vid2vidReading
		}
		got, err := r.channels(c.total, d)
		text := fmt.Sprint(got.input, got.label, got.edges, got.features)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%+v: %s", c, text)
		}
		for _, a := range r.assumed {
			if a.Option == "label_nc" && c.choices.LabelNC != nil || a.Option == "use_instance" && c.choices.Edges != nil {
				t.Errorf("%+v: what was chosen is told as assumed: %+v", c, a)
			}
		}
	}
}

// TestRecogniseRefuses: what is not whole, not known or not meant.
func TestRecogniseRefuses(t *testing.T) {
	one := []int{4, 3, 3, 3}
	n := 7
	for _, c := range []struct {
		name    string
		net     models.Network // whose shapes are changed
		change  func(Shapes)
		choices Choices
		is      error
		want    string
	}{
		{"missing", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "batch"}, func(s Shapes) { delete(s, "model.model.1.model.5.weight") },
			Choices{}, errMisfit, "unet: model.model.1.model.5.weight is missing"},
		{"extra", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "batch"}, func(s Shapes) { s["ema"] = one }, Choices{}, errMisfit, "ema is not part of it"},
		{"shape", &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 2, Blocks: 6, Norm: "batch"}, func(s Shapes) { s["model.10.conv_block.1.weight"] = one },
			Choices{}, errMisfit, "model.10.conv_block.1.weight is [4 3 3 3], not [8 8 3 3]"},
		{"wide", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "batch"}, func(s Shapes) { s["model.model.0.weight"] = []int{1 << 40, 3, 4, 4} },
			Choices{}, ErrUnknown, "ngf is"},
		{"finer", &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch", Scales: 2}, func(s Shapes) {
			for _, name := range s.names() {
				if rest, ok := strings.CutPrefix(name, "netG1."); ok {
					s[rest] = s[name]
					delete(s, name)
				} else if _, local := s["netG1."+name]; !local {
					delete(s, name)
				}
			}
		}, Choices{}, ErrUnknown, "a finer scale of vid2vid"},
		{"frames", &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch"}, func(s Shapes) { s["model_down_img.1.weight"] = []int{4, 4, 7, 7} },
			Choices{}, ErrUnknown, "sees 6 channels of control pictures and 4 of frames"},
		{"flownet", nil, func(s Shapes) { s["flownetc.conv1.0.weight"] = one }, Choices{}, ErrUnknown, "FlowNet2"},
		{"stranger", nil, func(s Shapes) { s["a"] = one }, Choices{}, ErrUnknown, "1 tensors, the first a [4 3 3 3]"},
		{"nothing", nil, func(s Shapes) {}, Choices{}, ErrUnknown, "there are none"},
		{"fg", &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch", FG: true, FGLabels: []int{1}, LabelNC: 7}, nil,
			Choices{}, ErrUnknown, "fg wants fg_labels"},
		{"fg range", &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch", FG: true, FGLabels: []int{1}, LabelNC: 7}, nil,
			Choices{FGLabels: []int{9}}, ErrChoice, "a label in fg_labels is 9"},
		{"no fg", &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch"}, nil, Choices{FGLabels: []int{9}}, ErrChoice, "without such a thing"},
		{"no labels", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "batch"}, nil, Choices{LabelNC: &n}, ErrChoice, "label-nc: the choice"},
		{"statistics", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "batch"}, nil, Choices{NormStats: "mean"}, ErrChoice, `norm_stats is "mean"`},
	} {
		s := Shapes{}
		if c.net != nil {
			s = shapesOf(t, c.net)
		}
		if c.change != nil {
			c.change(s)
		}
		_, err := Recognise(s, Surroundings{}, c.choices)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
