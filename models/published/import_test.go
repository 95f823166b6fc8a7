package published

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/weights"
)

// zeros writes a checkpoint of a network's shapes, .pth or .safetensors.
func zeros(t testing.TB, path, prefix string, s Shapes) {
	t.Helper()
	var ts []weights.Tensor
	for _, name := range s.names() {
		n := weights.Info{Shape: s[name]}.Bytes()
		ts = append(ts, weights.Tensor{Name: prefix + name, Shape: s[name], Copy: func(w io.Writer) error {
			_, err := io.CopyN(w, nothing{}, int64(n))
			return err
		}})
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeAs(path, ts); err != nil {
		t.Fatal(err)
	}
}

// nothing is an endless source of zeros.
type nothing struct{}

// Read implements io.Reader.
func (nothing) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Small networks of each kind of folder.
var (
	smallResNet = &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 1, Blocks: 1, Norm: "instance"}
	smallGlobal = &models.Global{InputNC: 3, OutputNC: 3, NGF: 1, Downs: 1, Blocks: 1, Norm: "batch", LabelNC: 35, Edges: true, FeatNC: 2}
	smallCity   = &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 1, Frames: 2, Norm: "batch", Scales: 3, LocalBlocks: 1, LabelNC: 35, Edges: true}
	smallE      = &models.Encoder{InputNC: 3, OutputNC: 2, NEF: 1, Downs: 1, Norm: "instance"}
)

// cityFolder saves the scales of smallCity as the published code does.
func cityFolder(t *testing.T, dir, epoch, ext string) {
	t.Helper()
	scales := []Shapes{{}, {}, {}}
	for name, shape := range shapesOf(t, smallCity) {
		s := 0
		if n, _ := fmt.Sscanf(name, "netG%d.", &s); n == 1 {
			name = strings.TrimPrefix(name, fmt.Sprintf("netG%d.", s))
		}
		scales[s][name] = shape
	}
	for s := range scales {
		zeros(t, filepath.Join(dir, fmt.Sprintf("%s_net_G%d%s", epoch, s, ext)), "", scales[s])
	}
}

// looksFolder saves a generator and its encoder, and gives what import is to make
// of both.
func looksFolder(t *testing.T, dir string) models.Network {
	t.Helper()
	g := *smallGlobal
	g.Norm = "instance"
	zeros(t, filepath.Join(dir, "latest_net_G.pth"), "", shapesOf(t, &g))
	zeros(t, filepath.Join(dir, "latest_net_E.pth"), "module.", shapesOf(t, smallE))
	g.NEF, g.DownsE = 1, 1
	return &g
}

// TestImportFolders: which files of a folder count, and what lies beside them.
func TestImportFolders(t *testing.T) {
	dir := t.TempDir()
	cityFolder(t, filepath.Join(dir, "city"), "latest", ".pth")
	cityFolder(t, filepath.Join(dir, "city"), "5", ".safetensors")
	zeros(t, filepath.Join(dir, "city", "latest_net_D.pth"), "", shapesOf(t, &models.Multiscale{InputNC: 39, NDF: 1, Layers: 1, NumD: 1, Norm: "instance"}))
	put(t, filepath.Join(dir, "city", "opt.txt"), nvidia)
	zeros(t, filepath.Join(dir, "hd", "latest_net_G.pth"), "module.", shapesOf(t, smallGlobal).withStatistics())
	zeros(t, filepath.Join(dir, "hd", "latest_net_E.pth"), "", shapesOf(t, smallE))
	looks := looksFolder(t, filepath.Join(dir, "looks"))
	zeros(t, filepath.Join(dir, "jz", "iter_500_net_G.safetensors"), "module.", shapesOf(t, smallResNet))
	put(t, filepath.Join(dir, "jz", "train_opt.txt"), junyanz)
	zeros(t, filepath.Join(dir, "alone.pth"), "", shapesOf(t, smallResNet))
	for _, c := range []struct {
		path, epoch string
		want        models.Network
		files       string
		assumed     string
	}{
		{"city", "", smallCity, "latest_net_G0.pth latest_net_G1.pth latest_net_G2.pth", "label_nc use_instance norm_stats no_first_img=opt.txt output"},
		{"city", "5", smallCity, "5_net_G0.safetensors 5_net_G1.safetensors 5_net_G2.safetensors", "label_nc use_instance norm_stats no_first_img=opt.txt output"},
		{"city/latest_net_D.pth", "", &models.Multiscale{InputNC: 39, NDF: 1, Layers: 1, NumD: 1, Norm: "instance"}, "latest_net_D.pth", ""},
		{"hd", "latest", smallGlobal, "latest_net_G.pth", "label_nc use_instance feat_num features norm_stats output"},
		{"hd/latest_net_G.pth", "", smallGlobal, "latest_net_G.pth", "label_nc use_instance feat_num features norm_stats output"},
		{"looks", "", looks, "latest_net_G.pth latest_net_E.pth", "label_nc use_instance feat_num features output"},
		{"jz", "iter_500", smallResNet, "iter_500_net_G.safetensors", "output"},
		{"alone.pth", "", smallResNet, "alone.pth", "output"},
	} {
		out := filepath.Join(dir, "out.safetensors")
		got, err := Import(t.Context(), filepath.Join(dir, c.path), out, Options{Epoch: c.epoch})
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		m, err := models.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if d := cmp.Diff(c.want, m.Net); d != "" {
			t.Errorf("%s: %s", c.path, d)
		}
		about := m.Config.About.Imported
		if files := strings.Join(about.From, " "); files != c.files {
			t.Errorf("%s: made of %s", c.path, files)
		}
		var assumed []string
		for _, a := range about.Assumed {
			name := a.Option
			if a.Source == "opt.txt" && a.Option == "no_first_img" {
				name += "=" + a.Source
			}
			assumed = append(assumed, name)
		}
		if s := strings.Join(assumed, " "); s != c.assumed || len(got.Assumed) != len(assumed) {
			t.Errorf("%s: assumed %q, want %q", c.path, s, c.assumed)
		}
	}
}

func TestOneScaleSaysThatThereAreMore(t *testing.T) {
	dir := t.TempDir()
	cityFolder(t, dir, "latest", ".pth")
	got, err := Import(t.Context(), filepath.Join(dir, "latest_net_G0.pth"), filepath.Join(dir, "m.safetensors"), Options{})
	if err != nil || options(got.Found) != "n_scales_spatial label_nc use_instance norm_stats no_first_img output" {
		t.Errorf("%s, %v", options(got.Found), err)
	}
	_, err = Import(t.Context(), filepath.Join(dir, "latest_net_G1.pth"), filepath.Join(dir, "n.safetensors"), Options{})
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "a finer scale of vid2vid") {
		t.Error(err)
	}
}

// wrong are things that import is given by mistake or out of malice.
var wrong = []struct {
	name   string
	lay    func(t *testing.T, dir string) // at dir/in
	epoch  string
	is     error
	reason string
}{
	{"nothing", func(*testing.T, string) {}, "", os.ErrNotExist, "no such file"},
	{"empty folder", func(t *testing.T, dir string) { os.Mkdir(dir+"/in", 0o755) }, "", nil, "neither latest_net_G.pth nor latest_net_G0.pth"},
	{"epochs", func(t *testing.T, dir string) {
		zeros(t, dir+"/in/20_net_G.pth", "", shapesOf(t, smallResNet))
		zeros(t, dir+"/in/100_net_G.pth", "", shapesOf(t, smallResNet))
	}, "", ErrEpoch, "no epoch latest, only 100, 20"},
	{"epoch of a file", func(t *testing.T, dir string) { put(t, dir+"/in", "x") }, "20", ErrEpoch, "does not apply to a file"},
	{"two generators", func(t *testing.T, dir string) {
		zeros(t, dir+"/in/latest_net_G_B.pth", "", shapesOf(t, smallResNet))
		zeros(t, dir+"/in/latest_net_G_A.pth", "", shapesOf(t, smallResNet))
	}, "", nil, "give one of its files, such as"},
	{"hole", func(t *testing.T, dir string) {
		cityFolder(t, dir+"/in", "latest", ".pth")
		os.Remove(dir + "/in/latest_net_G1.pth")
	}, "", nil, "has latest_net_G2.pth but not latest_net_G1.pth"},
	{"link out", func(t *testing.T, dir string) {
		zeros(t, dir+"/secret.pth", "", shapesOf(t, smallResNet))
		os.Mkdir(dir+"/in", 0o755)
		os.Symlink("../secret.pth", dir+"/in/latest_net_G.pth")
	}, "", nil, "it is a link out of the folder"},
	{"options out", func(t *testing.T, dir string) {
		put(t, dir+"/secret", "a: b")
		zeros(t, dir+"/in/latest_net_G.pth", "", shapesOf(t, smallResNet))
		os.Symlink(dir+"/secret", dir+"/in/opt.txt")
	}, "", nil, "opt.txt: it is a link out of the folder"},
	{"options", func(t *testing.T, dir string) {
		zeros(t, dir+"/in/latest_net_G.pth", "", shapesOf(t, smallResNet))
		put(t, dir+"/in/opt.txt", "dear diary")
	}, "", nil, `line 1 is not "name: value": remove it`},
	{"options folder", func(t *testing.T, dir string) {
		zeros(t, dir+"/in/latest_net_G.pth", "", shapesOf(t, smallResNet))
		os.Mkdir(dir+"/in/opt.txt", 0o755)
	}, "", nil, "opt.txt: it is not a regular file"},
	{"lfs", func(t *testing.T, dir string) { put(t, dir+"/in", "version https://git-lfs.github.com/spec/v1\n") }, "", nil, "a Git LFS pointer"},
	{"html", func(t *testing.T, dir string) { put(t, dir+"/in", "<!DOCTYPE html>") }, "", nil, "an HTML page"},
	{"script", func(t *testing.T, dir string) { golden(t, dir+"/in", "script.pth") }, "", nil, "a TorchScript archive"},
	{"optimizer", func(t *testing.T, dir string) { golden(t, dir+"/in", "optimizer.pth") }, "", nil, "an optimizer state"},
	{"module", func(t *testing.T, dir string) { golden(t, dir+"/in", "whole.pth") }, "", nil, "a whole pickled module"},
	{"bomb", func(t *testing.T, dir string) { golden(t, dir+"/in", "bomb.pth") }, "", nil, "more than 16 times the file"},
	{"stranger", func(t *testing.T, dir string) { golden(t, dir+"/in", "python2.pth") }, "", ErrUnknown, "of no network that v2v knows"},
	{"safetensors", func(t *testing.T, dir string) { put(t, dir+"/in", "\x10\x00\x00\x00\x00\x00\x00\x00{") }, "", nil, "truncated"},
	{"integers", func(t *testing.T, dir string) {
		var ts []weights.Tensor
		for name, shape := range shapesOf(t, smallResNet) {
			n := 8 * weights.Info{Shape: shape}.Elements()
			ts = append(ts, weights.Tensor{Name: name, DType: weights.I64, Shape: shape, Raw: make([]byte, n)})
		}
		if err := weights.WritePTH(dir+"/in", ts); err != nil {
			t.Fatal(err)
		}
	}, "", nil, "holds I64, not floating point"},
}

// golden copies a checkpoint of package weights.
func golden(t *testing.T, to, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../weights/testdata/pth", name))
	if err != nil {
		t.Fatal(err)
	}
	put(t, to, string(b))
}

// TestImportSaysWhatIsWrong: one line that names the file; nothing is written.
func TestImportSaysWhatIsWrong(t *testing.T) {
	for _, c := range wrong {
		dir := t.TempDir()
		c.lay(t, dir)
		outDir := filepath.Join(dir, "out")
		if err := os.Mkdir(outDir, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Import(t.Context(), dir+"/in", filepath.Join(outDir, "m.safetensors"), Options{Epoch: c.epoch})
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.reason) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.reason)
		} else if c.epoch == "" && !strings.Contains(err.Error(), dir+"/in") {
			t.Errorf("%s: %v names no file", c.name, err)
		}
		if left, err := os.ReadDir(outDir); err != nil || len(left) > 0 {
			t.Errorf("%s: leaves %v behind, %v", c.name, left, err)
		}
	}
}

// TestLinksInside: a folder may link within itself, and be linked to.
func TestLinksInside(t *testing.T) {
	dir := t.TempDir()
	zeros(t, dir+"/real/blobs/1234", "", shapesOf(t, smallResNet))
	if err := errors.Join(os.Symlink("blobs/1234", dir+"/real/latest_net_G.pth"), os.Symlink("real", dir+"/in")); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), dir+"/in", dir+"/m.safetensors", Options{}); err != nil {
		t.Error(err)
	}
}

func TestImportIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	zeros(t, dir+"/in.pth", "", shapesOf(t, smallResNet))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, dir+"/in.pth", dir+"/m.safetensors", Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestAModelNeedsNoImport: what import has made is a model already.
func TestAModelNeedsNoImport(t *testing.T) {
	dir := t.TempDir()
	zeros(t, dir+"/in.pth", "", shapesOf(t, smallResNet))
	if _, err := Import(t.Context(), dir+"/in.pth", dir+"/m.safetensors", Options{}); err != nil {
		t.Fatal(err)
	}
	_, err := Import(t.Context(), dir+"/m.safetensors", dir+"/n.safetensors", Options{})
	if err == nil || !strings.Contains(err.Error(), "a model of v2v already") {
		t.Error(err)
	}
	if b, err := os.ReadFile(dir + "/m.safetensors"); err != nil || !bytes.Contains(b, []byte(`in.pth`)) {
		t.Errorf("the model does not say what it was made of: %v", err)
	}
}
