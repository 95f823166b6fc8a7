package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/video"
)

// styleOptions say what features a generator with an encoder, or with noise,
// sees.
type styleOptions struct {
	seed uint64
	from string // real picture, or clip, that is encoded
	clip *clipOptions
}

func (o *styleOptions) flags(f *pflag.FlagSet) {
	f.Uint64Var(&o.seed, "style", 0, "draw the looks of instances, or the noise, by this number (pix2pixHD with feat_num, pix2pixHD_z)")
	f.StringVar(&o.from, "style-from", "", "real picture, or clip of as many frames, whose looks instances take (pix2pixHD with an encoder)")
}

// check refuses what a model has no use for.
func (o *styleOptions) check(m *models.Model) error {
	encoder := models.EncoderOf(m.Net)
	_, noise := m.Net.(*models.GlobalZ)
	switch {
	case o.from != "" && o.seed != 0:
		return usage("--style and --style-from exclude one another: give one")
	case o.from != "" && encoder == nil:
		return usage("--style-from %s: the model holds no encoder", o.from)
	case o.seed != 0 && encoder == nil && !noise:
		return usage("--style %d: the model holds no clusters of features and takes no noise", o.seed)
	}
	if o.seed == 0 || noise {
		return nil
	}
	counts := make([]float32, m.Net.Needs().Labels)
	if err := m.Weight(models.ClusterCounts, counts); err != nil {
		return err
	}
	if slices.Max(counts) == 0 {
		return usage("--style %d: the model holds an encoder, but no clusters of features; give --style-from", o.seed)
	}
	return nil
}

// wholeClip refuses a clip where one is converted in part, or many are.
func (o *styleOptions) wholeClip(whole bool) error {
	if st, err := os.Stat(o.from); o.from == "" || whole || err == nil && !st.IsDir() && isStill(o.from) {
		return nil
	}
	return usage("--style-from %s: a clip goes with one clip that is converted from its first frame on; give a picture", o.from)
}

// identity tells apart what the options change, for the records of a batch.
func (o *styleOptions) identity(of func(*video.Frame) string) (string, error) {
	switch {
	case o.from == "" && o.seed == 0:
		return "", nil
	case o.from == "":
		return fmt.Sprint("style ", o.seed), nil
	}
	f, err := video.ReadImage(o.from)
	if err != nil {
		return "", usage("--style-from: %w", err)
	}
	return "style " + of(f), nil
}

// styleSource gives the real picture of each frame of a clip.
type styleSource struct {
	o    styleOptions
	to   size
	r    video.Reader // nil for a picture
	last *video.Frame
	own  *video.Frame // last in the size that is wanted
}

// start opens what the looks are taken from, for a clip of a size.
func (s *styleSource) start(ctx context.Context, to size) error {
	if err := s.close(); err != nil {
		return err
	}
	*s = styleSource{o: s.o, to: to}
	if isStill(s.o.from) {
		f, err := video.ReadImage(s.o.from)
		if err == nil {
			s.own, err = fitted(f, to)
		}
		if err != nil {
			return usage("--style-from: %w", err)
		}
		return nil
	}
	r, err := s.o.clip.plain(ctx, s.o.from)
	if err != nil {
		return fmt.Errorf("--style-from: %w", err)
	}
	s.r = r
	return nil
}

// next is models.Style's Real.
func (s *styleSource) next(ctx context.Context) (*video.Frame, error) {
	if s.r == nil {
		return s.own, nil
	}
	if s.last != nil {
		s.last.Release()
		s.last = nil
	}
	var err error
	if s.last, err = s.r.Next(ctx); errors.Is(err, io.EOF) {
		return nil, withCode(jobs.ExitUnreadable, fmt.Errorf("%s ends before the clip that is converted: %w", s.o.from, io.ErrUnexpectedEOF))
	} else if err != nil {
		return nil, err
	}
	s.own, err = fitted(s.last, s.to)
	return s.own, err
}

func (s *styleSource) close() error {
	if s.last != nil {
		s.last.Release()
		s.last = nil
	}
	if s.r == nil {
		return nil
	}
	err := s.r.Close()
	s.r = nil
	return err
}
