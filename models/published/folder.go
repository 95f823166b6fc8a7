package published

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// part is one checkpoint file of a network.
type part struct {
	path   string
	prefix string // of its tensors' names in the model
}

// place is what Import was pointed at.
type place struct {
	parts   []part
	encoder string // file of the encoder beside it; "" without one
	opt     string // where options may be
	scales  bool   // finer scales lie beside a single file
}

// saved is how the published code names what it saves: EPOCH_net_LABEL.pth.
var saved = regexp.MustCompile(`^(.+)_net_(.+)(\.pth|\.pt|\.safetensors)$`)

// look finds the files that a path stands for.
func look(path, epoch string) (place, error) {
	st, err := os.Stat(path)
	if err != nil {
		return place{}, fmt.Errorf("opening %s: %w", path, plainly(err))
	}
	if !st.IsDir() {
		if epoch != "" {
			return place{}, fmt.Errorf("epoch %s: the choice does not apply to a file, only to a folder: %w", epoch, ErrEpoch)
		}
		return single(path), nil
	}
	if epoch == "" {
		epoch = "latest"
	}
	f := folder{path: path, files: map[string]map[string]string{}}
	if err := f.list(); err != nil {
		return place{}, err
	}
	return f.place(epoch)
}

// ErrEpoch is wrapped where the epoch asked for cannot be had.
var ErrEpoch = errors.New("give another epoch")

// single is a file by itself, with what may lie beside it.
func single(path string) place {
	dir, base := filepath.Split(path)
	p := place{parts: []part{{path: path}}, opt: dir}
	m := saved.FindStringSubmatch(base)
	if m == nil {
		return p
	}
	beside := func(label string) string {
		file := filepath.Join(dir, m[1]+"_net_"+label+m[3])
		if st, err := os.Lstat(file); err != nil || !st.Mode().IsRegular() {
			return ""
		}
		return file
	}
	switch m[2] {
	case "G":
		p.encoder = beside("E")
	case "G0":
		p.scales = beside("G1") != ""
	}
	return p
}

// folder is a folder of checkpoints.
type folder struct {
	path  string
	files map[string]map[string]string // by epoch, by label
}

func (f folder) list() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("reading folder %s: %w", f.path, plainly(err))
	}
	for _, e := range entries {
		m := saved.FindStringSubmatch(e.Name())
		if m == nil || e.IsDir() {
			continue
		}
		if f.files[m[1]] == nil {
			f.files[m[1]] = map[string]string{}
		}
		if f.files[m[1]][m[2]] == "" || m[3] == ".pth" {
			f.files[m[1]][m[2]] = e.Name()
		}
	}
	return nil
}

// place picks the generator of an epoch, in all its scales.
func (f folder) place(epoch string) (place, error) {
	labels := f.files[epoch]
	p := place{opt: f.path}
	var names, prefixes []string
	switch {
	case labels["G0"] != "":
		names, prefixes = []string{labels["G0"]}, []string{""}
		for s := 1; labels[fmt.Sprint("G", s)] != ""; s++ {
			names, prefixes = append(names, labels[fmt.Sprint("G", s)]), append(prefixes, fmt.Sprintf("netG%d.", s))
		}
	case labels["G"] != "":
		names, prefixes = []string{labels["G"]}, []string{""}
	default:
		return p, f.without(epoch)
	}
	for label := range labels {
		var s int
		if n, _ := fmt.Sscanf(label, "G%d", &s); n == 1 && label == fmt.Sprint("G", s) && s >= len(names) && labels["G0"] != "" {
			return p, fmt.Errorf("folder %s has %s but not %s_net_G%d.pth, the scale before it", f.path, labels[label], epoch, len(names))
		}
	}
	for i, name := range names {
		path, err := f.inside(name)
		if err != nil {
			return p, err
		}
		p.parts = append(p.parts, part{path: path, prefix: prefixes[i]})
	}
	if labels["E"] != "" {
		var err error
		if p.encoder, err = f.inside(labels["E"]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// without says what there is instead of an epoch's generator.
func (f folder) without(epoch string) error {
	var epochs, files []string
	for e, labels := range f.files {
		for label, name := range labels {
			if label == "G" || label == "G0" {
				epochs = append(epochs, e)
			} else if e == epoch && strings.HasPrefix(label, "G") {
				files = append(files, name)
			}
		}
	}
	slices.Sort(epochs)
	slices.Sort(files)
	switch {
	case len(files) > 0:
		return fmt.Errorf("folder %s has no %s_net_G.pth: give one of its files, such as %s", f.path, epoch, filepath.Join(f.path, files[0]))
	case len(epochs) > 0:
		return fmt.Errorf("folder %s has no epoch %s, only %.200s: %w", f.path, epoch, strings.Join(epochs, ", "), ErrEpoch)
	}
	return fmt.Errorf("folder %s holds no checkpoint: neither %s_net_G.pth nor %s_net_G0.pth", f.path, epoch, epoch)
}

// inside is the path of a file of the folder, which must not be a link out of
// it: a folder of strangers may not point at what else the disk holds.
func (f folder) inside(name string) (string, error) {
	path := filepath.Join(f.path, name)
	root, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return "", fmt.Errorf("opening %s: %w", f.path, plainly(err))
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("opening %s: %w", path, plainly(err))
	}
	if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("opening %s: it is a link out of the folder: give the file %s itself", path, real)
	}
	return real, nil
}

// plainly drops the operation and the path of a file error, which we name
// ourselves.
func plainly(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
