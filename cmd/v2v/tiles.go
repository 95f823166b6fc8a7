package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/labelmap"
)

// tileOptions say where the pictures are that a control picture of several
// consists of: DensePose and OpenPose of a pose, five of a face.
type tileOptions struct {
	beside  []string
	stacked bool
	n       int // how many the model sees at a time; 0 and 1 are one

	instances bool // the last of them is one of instances
}

func (o *tileOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.beside, "beside", nil, "clip of the next three channels of a model that sees more than three (6: DensePose, then OpenPose); may be repeated")
	f.BoolVar(&o.stacked, "stacked", false, "the clip has all pictures that such a model sees below one another")
}

// colors is how many pictures the model sees beside that of instances.
func (o *tileOptions) colors() int {
	if o.instances {
		return o.n - 1
	}
	return max(1, o.n)
}

// check compares what is given with what the model sees. Maps tells that instance
// maps are given.
func (o *tileOptions) check(kind string, maps bool) error {
	n, given := o.colors(), 0
	for _, on := range []bool{len(o.beside) > 0, o.stacked, kind == "face" && n > 1, kind == bothPoses} {
		if on {
			given++
		}
	}
	switch {
	case o.n <= 1 && (len(o.beside) > 0 || o.stacked):
		return usage("--beside and --stacked are for models that see more than three channels; this one does not")
	case kind == bothPoses && n != 2:
		return usage("--densepose and --keypoints make 6 channels, but the model sees %d", 3*n)
	case kind == "face" && n != 1 && n != facePictures:
		return usage("--landmarks makes 15 channels, but the model sees %d", 3*n)
	case o.stacked && kind != "":
		return usage("--stacked takes the pictures as they are: make no others")
	case given > 1:
		return usage("--beside, --stacked, --landmarks and --keypoints exclude one another here: give one")
	case o.instances && !o.stacked && kind != "face" && !maps:
		return usage("the model sees the boundaries of instances: give --instances DIR, a folder of index PNGs, or a clip of all pictures below one another with --stacked")
	case n > 1 && given == 0 || len(o.beside) > 0 && len(o.beside) != n-1:
		return usage("the model sees %d channels, %d pictures at a time: give --beside CLIP %d times, a clip of them below one another with --stacked%s",
			3*n, n, n-1, drawnAs(n))
	}
	return nil
}

// drawnAs is how so many pictures at a time are drawn, where v2v does.
func drawnAs(n int) string {
	switch n {
	case 2:
		return ", or for poses --densepose and --keypoints DIR"
	case facePictures:
		return ", or for faces --landmarks DIR"
	}
	return ""
}

// facePictures are the five pictures of pose.Maps.
const facePictures = 5

// count is how many pictures lie below one another in a control frame.
func (o *tileOptions) count() int { return max(1, o.n) }

// whole refuses clips that lie beside one where there are many.
func (o *tileOptions) whole() error {
	if len(o.beside) > 0 {
		return usage("--beside goes with one clip; give a batch clips of pictures below one another, and --stacked")
	}
	return nil
}

// tile is one of n pictures that lie below one another.
func tile(f *video.Frame, k, n int) *video.Frame {
	h := f.H / n
	return &video.Frame{W: f.W, H: h, Pix: f.Pix[3*k*h*f.W:][:3*h*f.W]}
}

// restacked resizes each of the pictures in a clip's frames.
func (o *clipOptions) restacked(r video.Reader, to size) video.Reader {
	n := o.tiles.n
	return newStage(r, to.W, to.H*n, func(dst, src *video.Frame) error {
		for k := range n {
			if err := cvimg.Resize(tile(dst, k, n), tile(src, k, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// joined puts the frames of the clips beside below those of r, which are of the
// size to already. On failure r is closed.
func (o *clipOptions) joined(ctx context.Context, r video.Reader, to size) (video.Reader, error) {
	n := o.tiles.colors()
	var others []video.Reader
	closeAll := func() error {
		var err error
		for _, c := range others {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	for _, path := range o.tiles.beside {
		c, err := o.plain(ctx, path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--beside: %w", err), closeAll(), r.Close())
		}
		others = append(others, c.Reader)
	}
	s := newStage(r, to.W, to.H*n, func(dst, src *video.Frame) error {
		copy(dst.Pix, src.Pix)
		for k, c := range others {
			f, err := c.Next(ctx)
			if err == io.EOF {
				return withCode(jobs.ExitUnreadable, fmt.Errorf("%s ends before the clip that it lies beside: %w", o.tiles.beside[k], io.ErrUnexpectedEOF))
			} else if err != nil {
				return err
			}
			err = cvimg.Resize(tile(dst, k+1, n), f)
			f.Release()
			if err != nil {
				return err
			}
		}
		return nil
	})
	s.close = closeAll
	return s, nil
}

// instanced puts the instance maps of a clip below its frames, whose pictures are
// of the size to already. On failure r is closed.
func (o *clipOptions) instanced(r video.Reader, path string, from video.Info, to size) (video.Reader, error) {
	files, problems := o.labels.maps(path, from, o.alone)
	if len(problems) > 0 {
		return nil, errors.Join(withCode(jobs.ExitUnreadable, errors.New(problems[0])), r.Close())
	}
	n := 0
	return newStage(r, to.W, to.H*o.tiles.n, func(dst, src *video.Frame) error {
		copy(dst.Pix, src.Pix)
		m, err := labelmap.ReadIndex(files[n])
		if err != nil {
			return withCode(jobs.ExitUnreadable, err)
		}
		n++
		own := tile(dst, o.tiles.n-1, o.tiles.n)
		clear(own.Pix)
		return labelmap.Pack(own, m.Resize(to.W, to.H))
	}), nil
}
