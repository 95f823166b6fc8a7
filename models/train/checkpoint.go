package train

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/weights"
)

// checkpointFormat changes whenever an older program could not resume.
const checkpointFormat = 1

// errFormat stops a run, where a torn file is merely passed over: such a
// checkpoint is good, and not ours to remove.
var errFormat = errors.New("made by another version of this program")

// checkpointKey is where a checkpoint's metadata lie in the file's.
const checkpointKey = "v2v_checkpoint"

// progress is all of a run that is not in the trainer's buffers.
type progress struct {
	Format int       `json:"format"`
	Config string    `json:"config"` // hash of the frozen configuration
	Plan   plan      `json:"plan"`
	Step   int       `json:"step"`   // steps done
	Sample uint64    `json:"sample"` // the next sample's number
	Means  lossMeans `json:"means"`
	Score  *float64  `json:"score,omitempty"`
	Spent  float64   `json:"spent"` // seconds of training
}

// plan is what a run was started with and must go on with, beside the
// caller's configuration.
type plan struct {
	Seed     uint64  `json:"seed"`
	Steps    int     `json:"steps"`
	LR       float64 `json:"lr"`
	Constant int     `json:"constant"`
	Frames   int     `json:"frames"`
	Batch    int     `json:"batch"`
	Data     string  `json:"data"`
	Epochs   *Epochs `json:"epochs,omitempty"`
}

// checkpoints is the ckpt folder of a run.
type checkpoints struct {
	dir  string
	keep int // the last so many, and the best
	log  *slog.Logger
}

// found is a checkpoint file and what it says of itself.
type found struct {
	path string
	progress
}

var checkpointName = regexp.MustCompile(`^step-(\d{6,})\.safetensors$`)

func (c *checkpoints) path(step int) string {
	return filepath.Join(c.dir, fmt.Sprintf("step-%06d.safetensors", step))
}

// save writes a checkpoint, reads it back, and only then removes old ones.
func (c *checkpoints) save(p progress, states []State) (string, error) {
	p.Format = checkpointFormat
	meta, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("save checkpoint: %w", err)
	}
	sums := make(map[string]uint32, len(states))
	tensors := make([]weights.Tensor, len(states))
	for i, s := range states {
		tensors[i] = weights.Tensor{Name: s.Name, Shape: s.Buffer.Shape(), Load: func(dst []float32) error {
			if err := s.Buffer.Read(dst); err != nil {
				return err
			}
			sums[s.Name] = checksum(dst)
			return finite(dst)
		}}
	}
	path := c.path(p.Step)
	if err := weights.Write(path, tensors, map[string]string{checkpointKey: string(meta)}); err != nil {
		return "", fmt.Errorf("save checkpoint: %w", err)
	}
	if err := verify(path, sums); err != nil {
		return "", fmt.Errorf("save checkpoint: %w", err)
	}
	return path, c.prune()
}

// finite refuses numbers that no training comes back from.
func finite(x []float32) error {
	for i, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("%w: number %d is %g", ErrDiverged, i, v)
		}
	}
	return nil
}

var le = binary.LittleEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum sums the numbers as they are stored.
func checksum(x []float32) uint32 {
	var buf [4 << 10]byte
	sum := uint32(0)
	for len(x) > 0 {
		n := min(len(x), len(buf)/4)
		for i, v := range x[:n] {
			le.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		sum = crc32.Update(sum, castagnoli, buf[:4*n])
		x = x[n:]
	}
	return sum
}

// verify compares the file with what was meant to be written.
func verify(path string, sums map[string]uint32) (err error) {
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for name, sum := range sums {
		b, err := f.Bytes(name)
		if err != nil {
			return err
		}
		if crc32.Checksum(b, castagnoli) != sum {
			return fmt.Errorf("%s reads back differently at %q: the disk cannot be trusted", path, name)
		}
	}
	return nil
}

// list finds the checkpoints that can be read, the oldest first, and the files
// that look like one and cannot.
func (c *checkpoints) list() (sound []found, torn []string, err error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("look for checkpoints: %w", err)
	}
	for _, e := range entries {
		m := checkpointName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		p, err := readProgress(path)
		if n, _ := strconv.Atoi(m[1]); err == nil && n != p.Step {
			err = fmt.Errorf("%s holds step %d", path, p.Step)
		}
		if errors.Is(err, errFormat) {
			return nil, nil, fmt.Errorf("look for checkpoints: %w", err)
		}
		if err != nil {
			c.log.Warn("checkpoint passed over", "path", path, "err", err)
			torn = append(torn, path)
			continue
		}
		sound = append(sound, found{path, p})
	}
	slices.SortFunc(sound, func(a, b found) int { return a.Step - b.Step })
	return sound, torn, nil
}

func readProgress(path string) (p progress, err error) {
	f, err := weights.Open(path)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, ok := f.Metadata()[checkpointKey]
	if !ok {
		return p, fmt.Errorf("%s is no checkpoint", path)
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	if p.Format != checkpointFormat {
		return p, fmt.Errorf("%s: %w: format %d, this program reads %d", path, errFormat, p.Format, checkpointFormat)
	}
	return p, nil
}

// last is the newest checkpoint that can be read, nil where there is none.
func (c *checkpoints) last() (*found, error) {
	sound, _, err := c.list()
	if err != nil || len(sound) == 0 {
		return nil, err
	}
	return &sound[len(sound)-1], nil
}

// best is the checkpoint of the highest score, the newest of equals, nil where
// none has one.
func best(all []found) *found {
	var b *found
	for i, f := range all {
		if f.Score != nil && (b == nil || *f.Score >= *b.Score) {
			b = &all[i]
		}
	}
	return b
}

// prune removes what is neither among the last nor the best, and what is torn.
func (c *checkpoints) prune() error {
	sound, torn, err := c.list()
	if err != nil {
		return err
	}
	b := best(sound)
	for i := 0; i < len(sound)-c.keep; i++ {
		if &sound[i] != b {
			torn = append(torn, sound[i].path)
		}
	}
	for _, path := range torn {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove old checkpoint: %w", err)
		}
	}
	return nil
}

// restore fills the trainer's buffers from a checkpoint. Nothing is touched
// unless names and shapes agree both ways.
func restore(path string, states []State) (err error) {
	f, err := weights.Open(path)
	if err != nil {
		return fmt.Errorf("restore checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if d := differences(f, states); len(d) > 0 {
		return fmt.Errorf("restore checkpoint %s: it is of another network: %s", path, strings.Join(d, "; "))
	}
	for _, s := range states {
		info, _ := f.Info(s.Name)
		x := make([]float32, info.Elements())
		if err := f.Float32(s.Name, x); err != nil {
			return fmt.Errorf("restore checkpoint: %w", err)
		}
		if err := s.Buffer.Write(x); err != nil {
			return fmt.Errorf("restore checkpoint %s: buffer %q: %w", path, s.Name, err)
		}
	}
	return nil
}

// maxListed bounds each kind of difference that is spelt out.
const maxListed = 5

func differences(f *weights.File, states []State) []string {
	var missing, shapes, extra []string
	known := make(map[string]bool, len(states))
	for _, s := range states {
		known[s.Name] = true
		info, ok := f.Info(s.Name)
		switch {
		case !ok:
			missing = append(missing, s.Name)
		case !slices.Equal(info.Shape, []int(s.Buffer.Shape())) || info.DType != weights.F32 || s.Buffer.Type() != engine.F32:
			shapes = append(shapes, fmt.Sprintf("%s (%v there, %v here)", s.Name, info.Shape, []int(s.Buffer.Shape())))
		}
	}
	for _, name := range f.Names() {
		if !known[name] {
			extra = append(extra, name)
		}
	}
	slices.Sort(extra)
	var out []string
	for _, d := range []struct {
		what  string
		names []string
	}{{"missing there", missing}, {"unknown here", extra}, {"of another shape", shapes}} {
		n := len(d.names)
		if n > maxListed {
			d.names = append(d.names[:maxListed:maxListed], fmt.Sprintf("and %d more", n-maxListed))
		}
		if n > 0 {
			out = append(out, d.what+": "+strings.Join(d.names, ", "))
		}
	}
	return out
}
