package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

const (
	stateDir = ".v2v" // in OUTDIR: everything that is ours and not an output

	sidecarSchema = 1
	// sidecarLimit is far above what a sidecar needs; a larger file is none.
	sidecarLimit = 1 << 20
)

// sidecar records what a finished output was made from.
type sidecar struct {
	Schema  int         `json:"schema"`
	Output  string      `json:"output"` // relative to OUTDIR; for people, nothing reads it
	Input   Fingerprint `json:"input"`
	Model   string      `json:"model"`
	Options string      `json:"options"`
	Made    Fingerprint `json:"made"` // of the output
	Result  Result      `json:"result"`
	Written time.Time   `json:"written"`
}

// clipID names a clip by its output's path below OUTDIR. A hash, because paths
// may be longer than a file name can be.
func clipID(rel string) string {
	h := sha256.Sum256([]byte(rel))
	return hex.EncodeToString(h[:16])
}

func sidecarPath(outDir, id string) string {
	return filepath.Join(outDir, stateDir, "clips", id+".json")
}

// parseSidecar accepts a whole, plausible sidecar and nothing else.
func parseSidecar(data []byte) (sidecar, error) {
	var s sidecar
	if len(data) > sidecarLimit {
		return s, fmt.Errorf("parse sidecar: %d bytes are too many", len(data))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("parse sidecar: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return s, fmt.Errorf("parse sidecar: something follows its end")
	}
	if s.Schema != sidecarSchema {
		return s, fmt.Errorf("parse sidecar: schema %d, not %d", s.Schema, sidecarSchema)
	}
	for _, f := range []Fingerprint{s.Input, s.Made} {
		if f.Files < 1 || f.Size < 0 || !isHash(f.Ends) || f.Full != "" && !isHash(f.Full) {
			return s, fmt.Errorf("parse sidecar: fingerprint is not one")
		}
	}
	return s, nil
}

func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// readSidecar returns nil where there is no sidecar that can be believed: then
// the clip is not done, whatever the reason.
func readSidecar(path string) *sidecar {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, sidecarLimit+1))
	if err != nil {
		return nil
	}
	s, err := parseSidecar(data)
	if err != nil {
		return nil
	}
	return &s
}

// write puts the sidecar at path, whole or not at all, also over a power
// failure. tmp is a folder on the same file system for the unfinished file.
func (s sidecar) write(path, tmp string) error {
	data, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return fmt.Errorf("write sidecar of %s: %w", s.Output, err)
	}
	err = renameio.WriteFile(path, append(data, '\n'), 0o644, renameio.WithTempDir(tmp))
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write sidecar of %s: %w", s.Output, err)
	}
	return nil
}

// syncDir makes the names in a folder durable; renameio leaves that out.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// printOutput fingerprints an output: copying a folder of finished work
// elsewhere keeps it finished, so times do not count.
func printOutput(ctx context.Context, path string) (Fingerprint, error) {
	return printer{}.take(ctx, path)
}
