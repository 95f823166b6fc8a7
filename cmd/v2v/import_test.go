package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/v2v/v2v/models"
)

// TestImportTellsBriefly: for every kind of network that can be imported, what
// was recognised and assumed is told in a few lines that fit a terminal, and
// info says it again.
func TestImportTellsBriefly(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, net := range map[string]models.Network{
		"vid2vid": &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 1, Frames: 2, Norm: "batch", Scales: 3, LocalBlocks: 1,
			FG: true, FGLabels: []int{26}, LabelNC: 35, Edges: true},
		"pix2pixHD_global":  &models.Global{InputNC: 3, OutputNC: 3, NGF: 1, Downs: 1, Blocks: 1, Norm: "batch", LabelNC: 35, Edges: true},
		"pix2pixHD_local":   &models.Local{Global: models.Global{InputNC: 3, OutputNC: 3, NGF: 1, Downs: 1, Blocks: 1, Norm: "instance"}, LocalEnhancers: 1},
		"pix2pixHD_z":       &models.GlobalZ{InputNC: 15, OutputNC: 3, Z: 2, NGF: 1, Downs: 1, Blocks: 1, Norm: "batch"},
		"pix2pixHD_encoder": &models.Encoder{InputNC: 3, OutputNC: 3, NEF: 1, Downs: 1, Norm: "batch"},
		"unet":              &models.UNet{InputNC: 3, OutputNC: 3, NGF: 1, Levels: 5, Norm: "batch", Dropout: true},
		"resnet":            &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 1, Blocks: 1, Norm: "batch", Dropout: true},
		"patchgan":          &models.PatchGAN{InputNC: 6, NDF: 1, Layers: 1, Norm: "batch"},
		"multiscale":        &models.Multiscale{InputNC: 6, NDF: 1, Layers: 1, NumD: 2, Norm: "batch"},
	} {
		if err := randomModel(name+".safetensors", name, net); err != nil {
			t.Fatal(err)
		}
		call := func(args ...string) (string, string) {
			var out, errs bytes.Buffer
			if code := run(args, &out, &errs); code != 0 {
				t.Fatalf("%q: code %d: %s", args, code, errs.String())
			}
			return out.String(), errs.String()
		}
		call("export", name+".safetensors", "-o", name)
		from := name
		if files, err := os.ReadDir(name); err != nil || len(files) == 1 {
			from += "/" + files[0].Name()
		}
		_, told := call("import", from, "-o", name+".back.safetensors")
		info, _ := call("info", name+".back.safetensors")
		if !strings.Contains(told, ": "+name) || strings.Count(told, "\n") > 10 {
			t.Errorf("%s: told\n%s", name, told)
		}
		for line := range strings.Lines(told) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%s: %d columns: %s", name, utf8.RuneCountInString(line)-1, line)
			}
			if strings.HasPrefix(line, "assumed") && !strings.Contains(info, strings.TrimSpace(line)) {
				t.Errorf("%s: info does not repeat %q:\n%s", name, line, info)
			}
		}
	}
}

// randomModel writes a model with random weights.
func randomModel(path, name string, net models.Network) error {
	c, err := models.NewConfig(name, net, models.About{})
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	return models.Save(path, c, false, func(_ string, dst []float32) error {
		for i := range dst {
			dst[i] = float32(rng.NormFloat64()) / 10
		}
		return nil
	})
}
