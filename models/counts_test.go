package models_test

import (
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models"
)

// TestPublishedParameterCounts compares with the counts that running the
// published code gave.
func TestPublishedParameterCounts(t *testing.T) {
	vid2vid := func(change func(v *models.Vid2Vid)) *models.Vid2Vid {
		v := models.DefaultVid2Vid()
		change(v)
		return v
	}
	city := vid2vid(func(v *models.Vid2Vid) { v.Scales, v.LabelNC, v.Edges, v.FG = 3, 35, true, true })
	g1 := vid2vid(func(v *models.Vid2Vid) { v.Scales, v.LabelNC, v.Edges, v.FG, v.Downs = 3, 35, true, true, 2 })
	local := models.DefaultLocal()
	local.LabelNC, local.Edges = 35, true
	batchD := models.DefaultMultiscale()
	batchD.Norm = "batch"
	temporalD := models.DefaultMultiscale()
	temporalD.InputNC, temporalD.Norm = 13, "batch"
	plainD := models.DefaultMultiscale()
	plainD.NoFeatures = true
	for _, c := range []struct {
		name  string
		net   models.Network
		parts map[string]int // by the beginning of names; "" is the rest
	}{
		{"vid2vid", models.DefaultVid2Vid(), map[string]int{"": 364_770_438}},
		{"vid2vid ngf 64", vid2vid(func(v *models.Vid2Vid) { v.NGF = 64 }), map[string]int{"": 91_257_414}},
		{"vid2vid without flow", vid2vid(func(v *models.Vid2Vid) { v.NoFlow = true }), map[string]int{"": 283_033_731}},
		{"edge2face_512", vid2vid(func(v *models.Vid2Vid) { v.InputNC = 15 }), map[string]int{"": 364_996_230}},
		{"label2city_2048", city, map[string]int{"": 411_335_241, "netG1.": 2_880_489, "netG2.": 859_641}},
		{"label2city_1024_g1", g1, map[string]int{"": 137_792_649, "netG1.": 3_830_217, "netG2.": 1_140_969}},
		{"pix2pixHD global", &models.Global{LabelNC: 35, Edges: true, OutputNC: 3, NGF: 64, Downs: 4, Blocks: 9, Norm: "instance"}, map[string]int{"": 182_546_755}},
		{"pix2pixHD local", local, map[string]int{"": 182_857_059}},
		{"U-Net-256", models.DefaultUNet(), map[string]int{"": 54_413_955}},
		{"ResNet-9", models.DefaultResNet(), map[string]int{"": 11_378_179}},
		{"PatchGAN", models.DefaultPatchGAN(), map[string]int{"": 2_768_705}},
		{"multi-scale discriminator", models.DefaultMultiscale(), map[string]int{"": 5_603_202}},
		{"the same under its other names", plainD, map[string]int{"": 5_603_202}},
		{"the same with batch normalisation", batchD, map[string]int{"": 5_606_786}},
		{"temporal discriminator", temporalD, map[string]int{"": 5_553_538}},
	} {
		params, err := models.Parameters(c.net)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := map[string]int{}
		for _, p := range params {
			part := ""
			for prefix := range c.parts {
				if strings.HasPrefix(p.Name, prefix) {
					part = max(part, prefix)
				}
			}
			got[part] += p.Shape.TotalSize()
		}
		for part, want := range c.parts {
			if got[part] != want {
				t.Errorf("%s: %d parameters in %q, the published network has %d", c.name, got[part], part, want)
			}
		}
	}
}

// TestPublishedNames looks for names that are written down of the published
// checkpoints, with their shapes.
func TestPublishedNames(t *testing.T) {
	inner := "model.model.1" + strings.Repeat(".model.3", 6)
	city := models.DefaultVid2Vid()
	city.Scales, city.LabelNC, city.Edges, city.FG = 3, 35, true, true
	plainD := models.DefaultMultiscale()
	plainD.NoFeatures = true
	withDropout := models.DefaultResNet()
	withDropout.Dropout = true
	for _, c := range []struct {
		net  models.Network
		want map[string]tensor.Shape
	}{
		{city, map[string]tensor.Shape{
			"model_down_seg.1.weight": {128, 108, 7, 7}, "model_down_img.1.weight": {128, 6, 7, 7}, "model_down_seg.17.conv_block.5.weight": {1024, 1024, 3, 3},
			"model_res_img.3.conv_block.6.weight": {1024}, "model_up_flow.6.weight": {256, 128, 3, 3}, "model_final_w.1.bias": {1}, "model_final_flow.1.weight": {2, 128, 7, 7},
			"indv_down.10.weight": {512, 256, 3, 3}, "indv_res.8.conv_block.1.weight": {512, 512, 3, 3}, "indv_final.1.weight": {3, 64, 7, 7},
			"netG1.model_down_seg.4.weight": {128, 64, 3, 3}, "netG1.model_up_img.3.weight": {128, 64, 3, 3}, "netG2.model_up_flow.4.bias": {32},
			"netG2.indv_down.1.weight": {16, 108, 7, 7}, "netG2.indv_up.2.conv_block.1.weight": {32, 32, 3, 3}, "netG2.model_final_img.1.weight": {3, 32, 7, 7}}},
		{models.DefaultGlobal(), map[string]tensor.Shape{"model.1.weight": {64, 3, 7, 7}, "model.13.weight": {1024, 512, 3, 3}, "model.16.conv_block.1.weight": {1024, 1024, 3, 3},
			"model.24.conv_block.5.bias": {1024}, "model.25.weight": {1024, 512, 3, 3}, "model.34.weight": {128, 64, 3, 3}, "model.38.weight": {3, 64, 7, 7}}},
		{models.DefaultLocal(), map[string]tensor.Shape{"model.1.weight": {64, 3, 7, 7}, "model.34.bias": {64}, "model1_1.1.weight": {32, 3, 7, 7}, "model1_1.4.weight": {64, 32, 3, 3},
			"model1_2.2.conv_block.5.weight": {64, 64, 3, 3}, "model1_2.3.weight": {64, 32, 3, 3}, "model1_2.7.weight": {3, 32, 7, 7}}},
		{models.DefaultGlobalZ(), map[string]tensor.Shape{"model_downsample.1.weight": {64, 31, 7, 7}, "model_downsample.4.weight": {128, 64, 3, 3},
			"model_resnet.8.conv_block.5.weight": {528, 528, 3, 3}, "model_upsample.0.weight": {544, 256, 3, 3}, "model_upsample.6.weight": {128, 64, 3, 3}, "model_upsample_conv.1.weight": {3, 80, 7, 7}}},
		{models.DefaultEncoder(), map[string]tensor.Shape{"model.1.weight": {16, 3, 7, 7}, "model.13.weight": {256, 128, 3, 3}, "model.16.weight": {256, 128, 3, 3}, "model.25.bias": {16}, "model.29.weight": {3, 16, 7, 7}}},
		{models.DefaultUNet(), map[string]tensor.Shape{"model.model.0.weight": {64, 3, 4, 4}, "model.model.3.weight": {128, 3, 4, 4}, "model.model.3.bias": {3}, "model.model.1.model.1.weight": {128, 64, 4, 4},
			"model.model.1.model.2.bias": {128}, "model.model.1.model.5.weight": {256, 64, 4, 4}, "model.model.1.model.3.model.6.weight": {128},
			inner + ".model.1.weight": {512, 512, 4, 4}, inner + ".model.3.weight": {512, 512, 4, 4}, inner + ".model.4.weight": {512}}},
		{models.DefaultResNet(), map[string]tensor.Shape{"model.1.bias": {64}, "model.7.weight": {256, 128, 3, 3}, "model.10.conv_block.1.weight": {256, 256, 3, 3},
			"model.18.conv_block.5.bias": {256}, "model.19.weight": {256, 128, 3, 3}, "model.22.weight": {128, 64, 3, 3}, "model.26.weight": {3, 64, 7, 7}}},
		{withDropout, map[string]tensor.Shape{"model.18.conv_block.6.weight": {256, 256, 3, 3}}},
		{models.DefaultPatchGAN(), map[string]tensor.Shape{"model.0.bias": {64}, "model.2.weight": {128, 64, 4, 4}, "model.3.weight": {128}, "model.8.weight": {512, 256, 4, 4}, "model.9.bias": {512}, "model.11.bias": {1}}},
		{models.DefaultMultiscale(), map[string]tensor.Shape{"scale0_layer0.0.weight": {64, 39, 4, 4}, "scale1_layer3.0.weight": {512, 256, 4, 4}, "scale1_layer4.0.bias": {1}}},
		{plainD, map[string]tensor.Shape{"layer0.0.weight": {64, 39, 4, 4}, "layer1.8.weight": {512, 256, 4, 4}, "layer1.11.bias": {1}}},
	} {
		params, err := models.Parameters(c.net)
		if err != nil {
			t.Errorf("%T: %v", c.net, err)
			continue
		}
		for _, p := range params {
			if want, ok := c.want[p.Name]; ok && !want.Eq(p.Shape) {
				t.Errorf("%T: %s is %v, published %v", c.net, p.Name, p.Shape, want)
			}
			delete(c.want, p.Name)
		}
		if len(c.want) > 0 {
			t.Errorf("%T has no %v", c.net, c.want)
		}
	}
}
