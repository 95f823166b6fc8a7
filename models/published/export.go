package published

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
)

// ErrOutput is wrapped where an output cannot be what was asked for.
var ErrOutput = errors.New("no such output")

// Export writes the weights of a model file so that the published Python
// network loads them with strict=True: its names, its layout, and the stored
// statistics that it asks for, which are mean 0 and variance 1 where the model
// has none. Out is a file ending in .pth or .safetensors, with %d in its name
// for the number of the scale where a network has several; or a folder, which
// gets files named as the published code looks for them. It returns the paths.
func Export(ctx context.Context, model, out string) (paths []string, err error) {
	m, err := models.Open(model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	f, err := weights.Open(model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	params, err := pythonParameters(m, f)
	if err != nil {
		return nil, fmt.Errorf("exporting %s: %w", model, err)
	}
	scales := byScale(params)
	paths, err = ExportPaths(m, out)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(paths[0]), 0o755); err != nil {
		return nil, fmt.Errorf("making folder %s: %w", filepath.Dir(paths[0]), plainly(err))
	}
	for i, path := range paths {
		ts := scales[i]
		for j := range ts {
			if copied := ts[j].Copy; copied != nil {
				ts[j].Copy = func(w io.Writer) error { return errors.Join(ctx.Err(), copied(w)) }
			}
		}
		if err := writeAs(path, ts); err != nil {
			return paths[:i], err
		}
	}
	return paths, ctx.Err()
}

func writeAs(path string, ts []weights.Tensor) error {
	if filepath.Ext(path) == ".safetensors" {
		return weights.Write(path, ts, nil)
	}
	return weights.WritePTH(path, ts)
}

// ExportPaths are the files that Export writes for a model.
func ExportPaths(m *models.Model, out string) ([]string, error) {
	scales := max(m.Net.Needs().Scales, 1)
	if st, err := os.Stat(out); err == nil && st.IsDir() || strings.HasSuffix(out, "/") || filepath.Ext(out) == "" {
		return inFolder(m, out, scales), nil
	}
	if ext := filepath.Ext(out); ext != ".pth" && ext != ".safetensors" {
		return nil, fmt.Errorf("writing %s: %w: give a name that ends in .pth or .safetensors, or a folder", out, ErrOutput)
	}
	dir, base := filepath.Split(out)
	if n := strings.Count(base, "%d"); n > 1 || n == 0 && scales > 1 {
		return nil, fmt.Errorf("writing %s: %w: the network has %d scales, a file each: give a folder, or a name with one %%d", out, ErrOutput, scales)
	}
	var paths []string
	for s := range scales {
		paths = append(paths, dir+strings.Replace(base, "%d", fmt.Sprint(s), 1))
	}
	return paths, nil
}

// inFolder names files as the published code looks for them.
func inFolder(m *models.Model, dir string, scales int) []string {
	label := "G"
	switch m.Net.Needs().Role {
	case models.RoleDiscriminator:
		label = "D"
	case models.RoleEncoder:
		label = "E"
	}
	if m.Config.Network != "vid2vid" {
		return []string{filepath.Join(dir, "latest_net_"+label+".pth")}
	}
	var paths []string
	for s := range scales {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("latest_net_G%d.pth", s)))
	}
	return paths
}

// byScale gives each scale of vid2vid its own tensors, by their names there.
func byScale(all []weights.Tensor) [][]weights.Tensor {
	scales := make([][]weights.Tensor, 1)
	for _, t := range all {
		s := 0
		if n, _ := fmt.Sscanf(t.Name, "netG%d.", &s); n == 1 {
			t.Name = strings.TrimPrefix(t.Name, fmt.Sprintf("netG%d.", s))
		}
		for len(scales) <= s {
			scales = append(scales, nil)
		}
		scales[s] = append(scales[s], t)
	}
	return scales
}

// pythonParameters are the state dict that the published network has, in its
// order.
func pythonParameters(m *models.Model, f *weights.File) ([]weights.Tensor, error) {
	params, err := models.Parameters(m.Net)
	if err != nil {
		return nil, err
	}
	var ts []weights.Tensor
	for _, p := range params {
		if models.OfEncoder(p.Name) {
			continue // which Python keeps in a file of its own
		}
		info, _ := f.Info(p.Name)
		ts = append(ts, weights.Tensor{Name: p.Name, DType: info.DType, Shape: info.Shape,
			Copy: func(w io.Writer) error { return f.CopyTo(w, p.Name, info.DType) }})
		ts = append(ts, statistics(f, p)...)
	}
	if !tracks(m) {
		return ts, nil
	}
	// Instance normalisation has no parameters; a network that normalises by
	// batch shows where it is.
	if params, err = withNorm(m, "batch"); err != nil {
		return nil, err
	}
	for _, p := range params {
		ts = append(ts, statistics(f, p)...)
	}
	return ts, nil
}

// statistics are what the normalisation stores whose weight p is, but for what
// the model has of it. Weights of anything else have more than one axis.
func statistics(f *weights.File, p nn.Param) []weights.Tensor {
	layer, ok := strings.CutSuffix(p.Name, ".weight")
	if !ok || len(p.Shape) != 1 {
		return nil
	}
	c := p.Shape[0]
	var ts []weights.Tensor
	for i, suffix := range stored[:2] {
		if _, ok := f.Info(layer + suffix); ok {
			continue
		}
		start := make([]float32, c)
		for j := range start {
			start[j] = float32(i)
		}
		ts = append(ts, weights.Tensor{Name: layer + suffix, Shape: []int{c}, Data: start})
	}
	return append(ts, weights.Tensor{Name: layer + stored[2], DType: weights.I64, Raw: make([]byte, 8)})
}

// tracks reports whether the published network keeps statistics of instance
// normalisation: vid2vid's code does, pix2pixHD's and pix2pix's of today do
// not. An imported model knows how it was.
func tracks(m *models.Model) bool {
	if normOf(m.Net) != "instance" {
		return false
	}
	if i := m.Config.About.Imported; i != nil {
		return i.Tracked
	}
	return slices.Contains([]string{"vid2vid", "pix2pixHD_z"}, m.Config.Network)
}

// normOf is a network's option norm.
func normOf(net models.Network) string {
	var o struct {
		Norm string `json:"norm"`
	}
	raw, err := json.Marshal(net)
	if err != nil || json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return o.Norm
}

// withNorm lists the parameters of a model's network under another
// normalisation.
func withNorm(m *models.Model, norm string) ([]nn.Param, error) {
	net, err := models.Blank(m.Config.Network)
	if err == nil {
		err = json.Unmarshal(m.Config.Options, net)
	}
	if err == nil {
		err = json.Unmarshal([]byte(`{"norm":"`+norm+`"}`), net)
	}
	if err == nil {
		err = net.Validate()
	}
	if err != nil {
		return nil, err
	}
	return models.Parameters(net)
}
