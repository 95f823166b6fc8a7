package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvio"
	"github.com/v2v/v2v/video/ffio"
)

// sinkOptions say how outputs are written.
type sinkOptions struct {
	codec     string
	crf       int
	enc       []string
	padOdd    bool
	overwrite bool
}

func (o *sinkOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.codec, "codec", "", strings.Join(ffio.Codecs(), ", ")+" (default h264; vp9 in .webm)")
	f.IntVar(&o.crf, "crf", -1, "quality, lower is better (default 16; 24 for vp9)")
	f.StringArrayVar(&o.enc, "enc", nil, "setting of the encoder, key=value; may be repeated")
	f.BoolVar(&o.padOdd, "pad-odd", false, "give odd sizes a pixel more rather than 4:4:4 colour")
}

// isFolder reports whether an output is to be a folder of PNGs: it says so by
// a slash, it is one already, or it has no extension.
func isFolder(path string) bool {
	if strings.HasSuffix(path, string(filepath.Separator)) || filepath.Ext(path) == "" {
		return true
	}
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func (o *sinkOptions) write(info video.Info, w, h int) ffio.WriteOptions {
	wo := ffio.WriteOptions{Codec: o.codec, Enc: o.enc, Source: &info, Width: w, Height: h, PadOdd: o.padOdd, Overwrite: o.overwrite}
	if o.crf >= 0 {
		wo.CRF = &o.crf
	}
	return wo
}

// plan says what will be written, a line each, and refuses what cannot be
// before any work begins.
func (o *sinkOptions) plan(path string, info video.Info, w, h int) ([]string, error) {
	if err := o.free(path, info.Path); err != nil {
		return nil, err
	}
	if isFolder(path) {
		if entries, _ := os.ReadDir(path); !o.overwrite && len(entries) > 0 {
			return nil, usage("write %q: the folder is not empty: choose another name or give --overwrite", path)
		}
		var lost []string
		if info.Audio+info.Subtitles > 0 {
			lost = append(lost, "a folder of pictures holds no sound and no subtitles")
		}
		return append([]string{fmt.Sprintf("PNG pictures, %dx%d", w, h)}, lost...), nil
	}
	if ffio.Available() != nil {
		wo := cvio.WriteOptions{Source: &info, Width: w, Height: h}
		return append([]string{fmt.Sprintf("written by OpenCV, %dx%d", w, h)}, cvio.Notes(wo)...), nil
	}
	p, err := ffio.NewPlan(path, o.write(info, w, h))
	if err != nil {
		return nil, usage("%w", err)
	}
	lines := []string{fmt.Sprintf("%s (%s), %dx%d, %s, %s frames a second", p.Codec, p.Encoder, p.Width, p.Height, p.PixFmt, p.Rate)}
	for i, t := range p.Audio {
		if t.Action == "copy" {
			lines = append(lines, fmt.Sprintf("audio stream %d: %s is copied", i, t.Codec))
		}
	}
	for i, t := range p.Subtitles {
		if t.Action == "copy" {
			lines = append(lines, fmt.Sprintf("subtitle stream %d: %s is copied", i, t.Codec))
		}
	}
	return append(lines, p.Notes...), nil
}

// free refuses outputs that must not be replaced or have no folder to be in.
func (o *sinkOptions) free(path, source string) error {
	path = filepath.Clean(path)
	if st, err := os.Stat(filepath.Dir(path)); err != nil {
		return usage("write %q: folder %q does not exist: make it first", path, filepath.Dir(path))
	} else if !st.IsDir() {
		return usage("write %q: %q is no folder", path, filepath.Dir(path))
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil // it is not there, or the writer will say what is wrong with it
	}
	if in, err := os.Stat(source); err == nil && os.SameFile(st, in) {
		return usage("write %q: it is the input itself: choose another name", path)
	}
	if !o.overwrite && !st.IsDir() {
		return usage("write %q: it exists already: choose another name or give --overwrite", path)
	}
	return nil
}

// create opens an output. What is unfinished grows in partDir, or beside the
// output where that is empty.
func (o *sinkOptions) create(ctx context.Context, path, partDir string, info video.Info, w, h int) (video.Writer, error) {
	if isFolder(path) {
		return video.CreateStills(path, video.StillsWriterOptions{Overwrite: o.overwrite, PartDir: partDir})
	}
	wo := o.write(info, w, h)
	wo.PartDir = partDir
	out, err := ffio.Create(ctx, path, wo)
	if errors.Is(err, ffio.ErrMissing) {
		return cvio.Create(ctx, path, cvio.WriteOptions{Source: &info, Width: w, Height: h, Overwrite: o.overwrite, PartDir: partDir})
	}
	return out, err
}
