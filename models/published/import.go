package published

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/weights"
)

// Options for Import. The zero value imports the latest epoch as published.
type Options struct {
	// Epoch is that of the files in a folder: "latest" where it is empty, a
	// number, or iter_N.
	Epoch string
	Choices
}

// Imported is what Import has made a model of.
type Imported struct {
	Found
	Files      []string // what was read
	Parameters int      // numbers in the model
	Dropped    int      // tensors that nothing uses: old statistics
}

// Import reads a checkpoint (.pth of either format, or safetensors with the
// same names) or a folder of them, and writes the model file out, whole or not
// at all. Beyond a few megabytes it holds nothing but mapped files.
func Import(ctx context.Context, path, out string, o Options) (Imported, error) {
	at, err := look(path, o.Epoch)
	if err != nil {
		return Imported{}, err
	}
	c := &checkpoint{tensors: map[string]tensor{}}
	defer c.close()
	for _, p := range at.parts {
		if err := c.open(p); err != nil {
			return Imported{}, err
		}
	}
	around, err := at.surroundings()
	if err != nil {
		return Imported{}, err
	}
	found, err := Recognise(c.shapes(), around, o.Choices)
	if err != nil {
		return Imported{}, fmt.Errorf("importing %s: %w", path, err)
	}
	done := Imported{Found: found}
	for _, p := range at.parts {
		done.Files = append(done.Files, p.path)
	}
	if err := c.withEncoder(at.encoder, &done); err != nil {
		return Imported{}, err
	}
	if err := c.write(ctx, out, &done); err != nil {
		return Imported{}, err
	}
	return done, ctx.Err()
}

// surroundings reads what lies beside the checkpoint.
func (p place) surroundings() (Surroundings, error) {
	around := Surroundings{Scales: p.scales}
	for _, name := range []string{"opt.txt", "train_opt.txt"} {
		path, err := folder{path: filepath.Clean(p.opt)}.inside(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			around.Options, err = readOpt(path)
		}
		if err != nil {
			return around, err
		}
		break
	}
	if p.encoder == "" {
		return around, nil
	}
	c := &checkpoint{tensors: map[string]tensor{}}
	defer c.close()
	if err := c.open(part{path: p.encoder}); err != nil {
		return around, err
	}
	if e, err := Recognise(c.shapes(), Surroundings{}, Choices{}); err == nil {
		if e, ok := e.Net.(*models.Encoder); ok {
			around.Features = e.OutputNC
		}
	}
	return around, nil
}

// tensor is one of a source's.
type tensor struct {
	weights.Info
	of weights.Store
}

// checkpoint is the files of one network, open.
type checkpoint struct {
	sources []weights.Store
	tensors map[string]tensor // by their names in the model
}

// open adds the tensors of a file.
func (c *checkpoint) open(p part) error {
	s, err := openSource(p.path)
	if err != nil {
		return err
	}
	c.sources = append(c.sources, s)
	names := s.Names()
	for i, name := range weights.TrimModule(names) {
		if _, taken := c.tensors[p.prefix+name]; taken {
			return fmt.Errorf("opening %s: tensor %q is in another file too", p.path, p.prefix+name)
		}
		info, _ := s.Info(names[i])
		c.tensors[p.prefix+name] = tensor{info, s}
	}
	return nil
}

// openSource opens a file, unless it needs no import.
func openSource(path string) (weights.Store, error) {
	s, err := weights.OpenAny(path)
	if err != nil {
		return nil, err
	}
	if f, ok := s.(*weights.File); ok {
		var c models.Config
		if err := f.Config(&c); !errors.Is(err, weights.ErrNoConfig) {
			return nil, errors.Join(fmt.Errorf("opening %s: it is a model of v2v already, which needs no import", path), f.Close())
		}
	}
	return s, nil
}

func (c *checkpoint) close() {
	for _, s := range c.sources {
		s.Close() // it was only read
	}
}

func (c *checkpoint) shapes() Shapes {
	s := Shapes{}
	for name, t := range c.tensors {
		s[name] = t.Shape
	}
	return s
}

// write makes the model file of what was recognised.
func (c *checkpoint) write(ctx context.Context, out string, done *Imported) error {
	params, err := models.Parameters(done.Net)
	if err != nil {
		return err
	}
	about := models.Imported{Assumed: done.Assumed, Tracked: c.tracked(done.Net)}
	for _, f := range done.Files {
		about.From = append(about.From, strings.ToValidUTF8(filepath.Base(f), "?"))
	}
	var ts []weights.Tensor
	used := 0
	for _, p := range params {
		if t, ok := clusterless(p.Name, p.Shape); ok {
			ts = append(ts, t)
			continue
		}
		used++
		t := c.tensors[p.Name]
		if !t.DType.Float() {
			return fmt.Errorf("importing %s: tensor %q holds %s, not floating point", strings.Join(done.Files, ", "), p.Name, t.DType)
		}
		typ := t.DType
		if typ == weights.F64 {
			typ = weights.F32 // nothing computes in more
		}
		done.Parameters += p.Shape.TotalSize()
		ts = append(ts, weights.Tensor{Name: p.Name, DType: typ, Shape: p.Shape, Copy: func(w io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return t.of.CopyTo(w, t.Name, typ)
		}})
	}
	done.Dropped = len(c.tensors) - used
	config, err := models.NewConfig(done.Network, done.Net, models.About{Imported: &about})
	if err != nil {
		return err
	}
	meta := map[string]string{}
	if err := weights.SetConfig(meta, config); err != nil {
		return err
	}
	return weights.Write(out, ts, meta)
}

// tracked reports whether instance normalisation has left statistics behind.
func (c *checkpoint) tracked(net models.Network) bool {
	names := c.shapes().names()
	return normOf(net) == "instance" && slices.ContainsFunc(names, statistic)
}
