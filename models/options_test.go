package models_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// small are narrow networks of every kind that makes frames.
func small() map[string]models.Network {
	local := &models.Local{Global: models.Global{InputNC: 3, OutputNC: 3, NGF: 1, Downs: 1, Blocks: 1, Norm: "batch"}, LocalEnhancers: 2, LocalBlocks: 1}
	return map[string]models.Network{
		"vid2vid":          &models.Vid2Vid{InputNC: 1, NGF: 4, Downs: 1, Blocks: 1, Frames: 2, Norm: "instance", Scales: 3, Edges: true},
		"pix2pixHD_global": &models.Global{LabelNC: 256, Edges: true, OutputNC: 3, NGF: 1, Downs: 2, Blocks: 1, Norm: "instance", FeatNC: 2},
		"pix2pixHD_local":  local,
		"pix2pixHD_z":      &models.GlobalZ{InputNC: 3, OutputNC: 1, Z: 1, NGF: 1, Downs: 1, Blocks: 1, Norm: "batch"},
		"unet":             &models.UNet{InputNC: 3, OutputNC: 3, NGF: 1, Levels: 5, Norm: "batch"},
		"resnet":           &models.ResNet{InputNC: 1, OutputNC: 3, NGF: 1, Blocks: 1, Norm: "instance"},
	}
}

// TestAnySizeIsPaddedAndCropped: pictures down to one pixel, on every device.
func TestAnySizeIsPaddedAndCropped(t *testing.T) {
	for name, net := range small() {
		file := random(t, name, net, false)
		for _, size := range [][3]int{{1, 1, 16}, {3, 70, 2}, {33, 31, 2}} {
			// One pixel has no variance but rounding's, which normalising blows up.
			levels := size[2]
			var want []*video.Frame
			for _, d := range open(t) {
				got := generate(t, d, file, models.RunOptions{}, size[0], size[1], 2)
				if want == nil {
					want = got
				}
				for i := range want {
					if diff := mostDifferent(want[i], got[i]); diff > levels {
						t.Errorf("%s: frame %d of %v on %s is %d levels off ref", name, i, size, d.Name(), diff)
					}
				}
			}
		}
	}
}

// TestRunnerRefuses what makes no sense, in one line.
func TestRunnerRefuses(t *testing.T) {
	d := open(t)[0]
	labels := &models.Global{LabelNC: 5, OutputNC: 3, NGF: 1, Downs: 1, Norm: "instance"}
	for _, c := range []struct {
		name, network string
		net           models.Network
		o             models.RunOptions
		want          string
	}{
		{"a discriminator", "patchgan", &models.PatchGAN{InputNC: 6, NDF: 1, Layers: 1, Norm: "batch"}, models.RunOptions{}, "is no generator but a kind of discriminator"},
		{"another", "multiscale", &models.Multiscale{InputNC: 6, NDF: 1, Layers: 1, NumD: 1, Norm: "batch"}, models.RunOptions{}, "is no generator but a kind of discriminator"},
		{"an encoder", "pix2pixHD_encoder", &models.Encoder{InputNC: 3, OutputNC: 3, NEF: 1, Downs: 1, Norm: "batch"}, models.RunOptions{}, "is no generator but a kind of encoder"},
		{"5 channels", "resnet", &models.ResNet{InputNC: 5, OutputNC: 3, NGF: 1, Norm: "batch"}, models.RunOptions{}, "wants control pictures of 5 channels"},
		{"9 channels", "resnet", &models.ResNet{InputNC: 9, OutputNC: 3, NGF: 1, Norm: "batch"}, models.RunOptions{}, "sees 3 below one another"},
		{"2 channels out", "resnet", &models.ResNet{InputNC: 3, OutputNC: 2, NGF: 1, Norm: "batch"}, models.RunOptions{}, "makes pictures of 2 channels"},
		{"a first frame", "pix2pixHD_global", labels, models.RunOptions{First: control(8, 8, 0)}, "looks back at none"},
		{"an unknown label", "pix2pixHD_global", labels, models.RunOptions{}, "label 5 at 3,2 of frame 1: the network knows 0 to 4"},
	} {
		m, err := models.Open(random(t, c.network, c.net, false))
		if err != nil {
			t.Fatal(err)
		}
		r := models.NewRunner(d, m, c.o)
		_, _, err = r.Start(context.Background(), video.Info{Width: 8, Height: 8})
		src, dst := video.NewFrame(8, 8), video.NewFrame(8, 8)
		for k := 0; k < 2 && err == nil; k++ {
			src.Pix[(2*8+3)*3] = byte(4 + k)
			err = r.Generate(context.Background(), src, dst)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", c.name, err, c.want)
		}
		r.Close()
		m.Close()
	}
}

// TestOptionsRefused: what cannot be built is refused by the option's name.
func TestOptionsRefused(t *testing.T) {
	for name := range small() {
		net, err := models.Blank(name)
		if err != nil || net.Validate() != nil {
			t.Errorf("%s by default: %v, %v", name, err, net.Validate())
		}
	}
	vid := func(change func(v *models.Vid2Vid)) models.Network {
		v := tinyNet()
		change(&v)
		return &v
	}
	for _, c := range []struct {
		want string
		net  models.Network
	}{
		{"n_scales_spatial is 4; give 0 to 3", vid(func(v *models.Vid2Vid) { v.Scales = 4 })},
		{"input_nc is 65; give 1 to 64", vid(func(v *models.Vid2Vid) { v.InputNC = 65 })},
		{"label_nc is 257", vid(func(v *models.Vid2Vid) { v.LabelNC = 257 })},
		{"fg wants index pictures", vid(func(v *models.Vid2Vid) { v.FG = true })},
		{"fg wants fg_labels, of the labels 0 to 5", vid(func(v *models.Vid2Vid) { v.FG, v.LabelNC = true, 6 })},
		{"a label in fg_labels is 6; give 0 to 5", vid(func(v *models.Vid2Vid) { v.FG, v.LabelNC, v.FGLabels = true, 6, []int{6} })},
		{"ngf is 6; give a multiple of 4 for 3 spatial scales", vid(func(v *models.Vid2Vid) { v.NGF, v.Scales = 6, 3 })},
		{"ngf is 4; give a multiple of 8", vid(func(v *models.Vid2Vid) { v.Downs, v.Scales, v.FG, v.LabelNC = 3, 3, true, 35 })},
		{`norm_stats is "eval"`, vid(func(v *models.Vid2Vid) { v.Stats = "eval" })},
		{"instance normalisation stores no statistics", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 1, Levels: 5, Norm: "instance", Stats: "running"}},
		{"num_downs is 4; give 5 to 10", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 1, Levels: 4, Norm: "batch"}},
		{`norm is "spectral"`, &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 1, Norm: "spectral"}},
		{"output_nc is 0", &models.Global{InputNC: 3, NGF: 1, Norm: "batch"}},
		{"n_local_enhancers is 0", &models.Local{Global: *models.DefaultGlobal()}},
		{"nz is 0", &models.GlobalZ{InputNC: 3, OutputNC: 3, NGF: 1, Downs: 1, Norm: "batch"}},
		{"feat_num is 0", &models.Encoder{InputNC: 3, NEF: 1, Norm: "batch"}},
		{"n_layers_D is 0", &models.PatchGAN{InputNC: 3, NDF: 1, Norm: "batch"}},
		{"num_D is 0", &models.Multiscale{InputNC: 3, NDF: 1, Layers: 1, Norm: "batch"}},
	} {
		if err := c.net.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// TestBuildChecksItsInputs, so that weights of another shape than the
// checkpoint's are never asked for.
func TestBuildChecksItsInputs(t *testing.T) {
	v := tinyNet()
	v.Scales = 2
	for _, c := range []struct {
		name, want        string
		net               models.Network
		labels, prev      int
		coarse, featuring int
	}{
		{"too few control pictures", "control pictures have 6 channels together, the network wants 3 of 3", &v, 6, 6, 6, 0},
		{"no past", "frames made before have 0 channels together, the network wants 2 of 3", &v, 9, 0, 6, 0},
		{"one scale", "has 2 spatial scales, and was given the frames that 1 made before", &v, 9, 6, 0, 0},
		{"no features", "features have 0 channels, the network wants 16", models.DefaultGlobalZ(), 15, 0, 0, 0},
	} {
		b := nn.NewBuilder(G.NewGraph(), nn.Options{})
		input := func(name string, channels, side int) *G.Node {
			if channels == 0 {
				return nil
			}
			return b.Input(name, 1, channels, side, side)
		}
		in := models.Inputs{Labels: input("labels", c.labels, 32), Prev: input("prev", c.prev, 32), Features: input("features", c.featuring, 32)}
		if x := input("coarse", c.coarse, 16); x != nil {
			in.Coarse = []*G.Node{x}
		}
		c.net.Build(b, in)
		if err := b.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if len(b.Params()) > 0 {
			t.Errorf("%s: %d parameters were made", c.name, len(b.Params()))
		}
	}
}

// TestNetworksThatMakeNoFramesHavePrograms, on tensors.
func TestNetworksThatMakeNoFramesHavePrograms(t *testing.T) {
	for _, c := range []struct {
		net  models.Network
		want []string
	}{
		{&models.PatchGAN{InputNC: 6, NDF: 1, Layers: 3, Norm: "batch"}, []string{"score0"}},
		{&models.Multiscale{InputNC: 6, NDF: 1, Layers: 3, NumD: 3, Norm: "instance"}, []string{"score0", "score1", "score2"}},
		{&models.Encoder{InputNC: 3, OutputNC: 2, NEF: 1, Downs: 2, Norm: "instance"}, []string{"final"}},
	} {
		p, err := models.GeneratorProgram(c.net, 1, 1, 1)
		if err != nil {
			t.Fatalf("%T: %v", c.net, err)
		}
		var got []string
		for _, v := range p.Outputs {
			got = append(got, p.Values[v].Name)
		}
		if !slices.Equal(got, c.want) || p.Find("labels") < 0 {
			t.Errorf("%T: outputs %v, want %v", c.net, got, c.want)
		}
	}
}
