package main

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
)

// stage is a Reader whose frames go through a function, from a frame of the
// inner clip into one of its own.
type stage struct {
	inner video.Reader
	info  video.Info
	pool  *video.Pool
	apply func(dst, src *video.Frame) error
	close func() error // of what apply uses; nil for nothing
}

func newStage(inner video.Reader, w, h int, apply func(dst, src *video.Frame) error) *stage {
	info := inner.Info()
	info.Width, info.Height = w, h
	return &stage{inner: inner, info: info, pool: video.NewPool(w, h, inFlight), apply: apply}
}

// resized is a clip with its frames scaled to a size.
func resized(inner video.Reader, to size) video.Reader {
	return newStage(inner, to.W, to.H, cvimg.Resize)
}

// Info implements video.Reader.
func (s *stage) Info() video.Info { return s.info }

// Next implements video.Reader.
func (s *stage) Next(ctx context.Context) (*video.Frame, error) {
	src, err := s.inner.Next(ctx)
	if err != nil {
		return nil, err
	}
	defer src.Release()
	dst, err := s.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.apply(dst, src); err != nil {
		dst.Release()
		return nil, err
	}
	dst.PTS = src.PTS
	return dst, nil
}

// Close implements video.Reader.
func (s *stage) Close() error {
	err := s.inner.Close()
	if s.close != nil {
		err = errors.Join(err, s.close())
	}
	return err
}

// eachFrame shows the first frames of a clip to f, as they are: at most so
// many, and of a damaged clip those that there are.
func (o *clipOptions) eachFrame(ctx context.Context, path string, most int, f func(n int, frame *video.Frame) error) error {
	if most == 0 {
		return nil
	}
	_, err := o.walk(ctx, path, most, f)
	return err
}

// allFrames shows every frame, and says what is wrong with a damaged clip.
func (o *clipOptions) allFrames(ctx context.Context, path string, f func(n int, frame *video.Frame) error) (damage string, err error) {
	return o.walk(ctx, path, math.MaxInt, f)
}

func (o *clipOptions) walk(ctx context.Context, path string, most int, f func(n int, frame *video.Frame) error) (damage string, err error) {
	c, err := o.plain(ctx, path)
	if err != nil {
		return "", err
	}
	defer c.Close() // stopped early it may well complain; at the end it has said all
	for n := range most {
		frame, err := c.Next(ctx)
		switch {
		case err == io.EOF:
			return "", nil
		case errors.Is(err, video.ErrDamaged) && n > 0:
			return err.Error(), nil
		case err != nil:
			return "", withCode(jobs.ExitUnreadable, err)
		}
		err = f(n, frame)
		frame.Release()
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
