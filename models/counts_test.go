package models_test

import (
	"strings"
	"testing"

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
