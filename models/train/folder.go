package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"
)

// ErrLocked is wrapped where another process trains in the same folder.
var ErrLocked = errors.New("locked by another run")

// ErrExists is wrapped where a new run is to begin in the folder of another.
var ErrExists = errors.New("holds a run already")

// ErrConfig is wrapped where a run is to be resumed in another way than it was
// begun.
var ErrConfig = errors.New("resume with what the run was begun with, or begin a new one")

// What a run folder holds beside the events of TensorBoard.
const (
	lockFile    = ".lock"
	configFile  = "config.toml"
	envFile     = "env.json"
	metricsFile = "metrics.jsonl"
	logFile     = "run.log"
	modelFile   = "model.safetensors"
	ckptDir     = "ckpt"
	sampleDir   = "samples"
)

// folder is a run folder, held by this process alone until close.
type folder struct {
	path   string
	lock   *flock.Flock
	file   *os.File     // run.log
	log    *slog.Logger // to run.log, and to the caller's
	config string       // hash of config.toml
}

// openFolder locks the folder, makes what is missing, freezes the
// configuration or checks it against the frozen one, and clears what a killed
// process left half written.
func openFolder(o Options) (_ *folder, err error) {
	for _, d := range []string{o.Dir, filepath.Join(o.Dir, ckptDir), filepath.Join(o.Dir, sampleDir)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("prepare run folder: %w", err)
		}
	}
	f, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := f.clear(); err != nil {
		return nil, fmt.Errorf("prepare run folder: %w", err)
	}
	if err := f.freeze(o.Config, o.Resume); err != nil {
		return nil, err
	}
	f.file, err = os.OpenFile(filepath.Join(o.Dir, logFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("prepare run folder: %w", err)
	}
	f.log = slog.New(slog.NewMultiHandler(slog.NewTextHandler(f.file, nil), o.Logger.Handler()))
	return f, nil
}

// lockFolder holds a folder that is there.
func lockFolder(dir string) (*folder, error) {
	f := &folder{path: dir, lock: flock.New(filepath.Join(dir, lockFile))}
	ok, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock run folder %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("run folder %s: %w: wait for it or give another folder", dir, ErrLocked)
	}
	return f, nil
}

// Hold locks a folder whose own are runs, as Run does its own, and freezes the
// configuration that they are parts of.
func Hold(dir string, config any, resume bool) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("prepare run folder: %w", err)
	}
	f, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := f.freeze(config, resume); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f.close, nil
}

// clear removes temporary files of this package's own writers.
func (f *folder) clear() error {
	var stale []string
	for _, pattern := range []string{
		"." + configFile + "*", "." + envFile + "*", "." + metricsFile + "*", "." + modelFile + "*",
		ckptDir + "/.step-*", sampleDir + "/.step-*",
	} {
		found, err := fs.Glob(os.DirFS(f.path), pattern)
		if err != nil {
			return err
		}
		stale = append(stale, found...)
	}
	for _, name := range stale {
		if err := os.Remove(filepath.Join(f.path, name)); err != nil {
			return err
		}
	}
	return nil
}

// freeze writes the configuration of a new run, or compares it with the one
// that is there.
func (f *folder) freeze(config any, resume bool) error {
	path := filepath.Join(f.path, configFile)
	text := []byte{}
	if config != nil {
		var err error
		if text, err = toml.Marshal(config); err != nil {
			return fmt.Errorf("freeze configuration: %w", err)
		}
	}
	now, err := flatten(text)
	if err != nil {
		return fmt.Errorf("freeze configuration: %w", err)
	}
	f.config = hashConfig(now)
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := renameio.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("freeze configuration: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read frozen configuration: %w", err)
	case !resume:
		return fmt.Errorf("run folder %s %w: resume it or give another folder", f.path, ErrExists)
	}
	was, err := flatten(old)
	if err != nil {
		return fmt.Errorf("read frozen configuration %s: %w", path, err)
	}
	if d := changed(was, now); len(d) > 0 {
		return fmt.Errorf("run folder %s was begun with another configuration: %s: %w", f.path, strings.Join(d, "; "), ErrConfig)
	}
	return nil
}

// flatten reads TOML as dotted keys and values.
func flatten(text []byte) (map[string]any, error) {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	flat := map[string]any{}
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for k, v := range tree {
			if sub, ok := v.(map[string]any); ok {
				walk(prefix+k+".", sub)
			} else {
				flat[prefix+k] = v
			}
		}
	}
	walk("", tree)
	return flat, nil
}

// changed names the keys whose values differ, in order.
func changed(was, now map[string]any) []string {
	keys := maps.Clone(was)
	maps.Copy(keys, now)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		w, wok := was[k]
		n, nok := now[k]
		switch {
		case !wok:
			out = append(out, fmt.Sprintf("%s = %v is new", k, n))
		case !nok:
			out = append(out, fmt.Sprintf("%s = %v is gone", k, w))
		case !reflect.DeepEqual(w, n):
			out = append(out, fmt.Sprintf("%s = %v, was %v", k, n, w))
		}
	}
	return out
}

func hashConfig(flat map[string]any) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(flat)) {
		fmt.Fprintf(h, "%q=%#v\n", k, flat[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// start is one entry of env.json: where and by what a run was started or
// resumed.
type start struct {
	Time     time.Time         `json:"time"`
	Step     int               `json:"step"`
	Args     []string          `json:"args"`
	Host     string            `json:"host"`
	OS       string            `json:"os"`
	CPUs     int               `json:"cpus"`
	Go       string            `json:"go"`
	Version  string            `json:"version,omitempty"`  // of this program
	Revision string            `json:"revision,omitempty"` // of its source
	Env      map[string]string `json:"env,omitempty"`
}

// noteStart adds to env.json. A file that cannot be read is begun anew: it is
// a record, nothing depends on it.
func (f *folder) noteStart(step int, env map[string]string) error {
	path := filepath.Join(f.path, envFile)
	var starts []start
	if data, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(data, &starts); err != nil {
			f.log.Warn("earlier starts are lost", "path", path, "err", err)
			starts = nil
		}
	}
	s := start{Time: time.Now().UTC().Truncate(time.Second), Step: step, Args: os.Args,
		OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(), Env: env}
	if host, err := os.Hostname(); err == nil {
		s.Host = host
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		s.Version = b.Main.Version
		for _, kv := range b.Settings {
			if kv.Key == "vcs.revision" {
				s.Revision = kv.Value
			}
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(append(starts, s)); err != nil {
		return fmt.Errorf("note the start: %w", err)
	}
	if err := renameio.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("note the start: %w", err)
	}
	return nil
}

// close gives the folder free.
func (f *folder) close() error {
	var err error
	if f.file != nil {
		err = f.file.Close()
	}
	return errors.Join(err, f.lock.Close())
}
