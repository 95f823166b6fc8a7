package main

import (
	"bytes"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// cmdImage writes a tiny image network with random weights: image FILE.
func cmdImage(ts *testscript.TestScript, neg bool, args []string) {
	net := &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 2, Blocks: 1, Norm: "instance"}
	params, err := models.Parameters(net)
	ts.Check(err)
	byName := map[string]nn.Param{}
	for _, p := range params {
		byName[p.Name] = p
	}
	c, err := models.NewConfig("resnet", net, models.About{})
	ts.Check(err)
	ts.Check(models.Save(ts.MkAbs(args[0]), c, false, func(name string, dst []float32) error {
		p := byName[name]
		p.Fill(dst, p.Rand(3))
		return nil
	}))
}

// cmdSame demands that two pictures show the same, or not: same FILE FILE.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	a, err := video.ReadImage(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := video.ReadImage(ts.MkAbs(args[1]))
	ts.Check(err)
	if same := a.W == b.W && bytes.Equal(a.Pix, b.Pix); same == neg {
		ts.Fatalf("%s and %s show the same: %v", args[0], args[1], same)
	}
}
