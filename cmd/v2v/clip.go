package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/cvio"
	"github.com/v2v/v2v/video/ffio"
	"github.com/v2v/v2v/video/labelmap"
)

// clipOptions say how clips are read.
type clipOptions struct {
	decoder string
	rate    rate
	size    size
	extract string
	pose    poseOptions
	face    faceOptions
	labels  labelOptions
	tiles   tileOptions
	index   bool // pictures hold label ids
	alone   bool // there is one clip, which all files beside it are of
}

// inFlight bounds the frames that a decoder lends out: four wait for the next
// stage, one is being worked on there, one is being decoded.
const inFlight = 6

func (o *clipOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.decoder, "decoder", "auto", "auto, opencv or ffmpeg; auto takes OpenCV where it is exact")
	f.Var(&o.rate, "rate", "frames a second of folders of pictures, like 30000/1001 (default 25)")
}

func (o *clipOptions) sizeFlag(f *pflag.FlagSet) {
	f.Var(&o.size, "size", "resize frames to height x width")
}

// controlFlags say how the control pictures are made from the clip.
func (o *clipOptions) controlFlags(f *pflag.FlagSet) {
	f.StringVar(&o.extract, "extract", "", "make the control pictures from a real clip: "+strings.Join(cvimg.Kinds, ", "))
	o.pose.flags(f)
	o.face.flags(f)
	o.labels.flags(f)
}

func (o *clipOptions) check() error {
	if !slices.Contains([]string{"auto", "opencv", "ffmpeg"}, o.decoder) {
		return usage("--decoder %q: give auto, opencv or ffmpeg", o.decoder)
	}
	if o.extract != "" && !slices.Contains(cvimg.Kinds, o.extract) {
		return usage("--extract %q: give one of %s", o.extract, strings.Join(cvimg.Kinds, ", "))
	}
	given := 0
	both := o.pose.dir != "" && o.labels.densepose
	for _, on := range []bool{o.extract != "", o.pose.dir != "" && !both, o.face.dir != "", o.labels.wanted()} {
		if on {
			given++
		}
	}
	if given > 1 {
		return usage("--extract, --keypoints, --landmarks and labels exclude one another: give one, or --keypoints and --densepose")
	}
	if err := errors.Join(o.pose.check(), o.face.check()); err != nil {
		return err
	}
	return o.labels.check()
}

// clip is an open clip and what is worth knowing of how it is read.
type clip struct {
	video.Reader
	decoder string
	notes   []string
}

// open opens a video or a folder of pictures, with its frames resized and
// extracted as the options say. Whatever is wrong with the input has one exit
// code.
func (o *clipOptions) open(ctx context.Context, path string) (*clip, error) {
	c, err := o.raw(ctx, path, o.index)
	if err != nil {
		return nil, err
	}
	c.notes = append(c.notes, o.notes()...)
	i := c.Info()
	if o.tiles.stacked {
		if i.Height%o.tiles.n != 0 {
			return nil, errors.Join(usage("--stacked: %s is %dx%d, which is no %d pictures below one another", path, i.Width, i.Height, o.tiles.n), c.Close())
		}
		i.Height /= o.tiles.n
	}
	if o.face.crop {
		square, err := o.face.square(path, i, o.alone)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		i.Width, i.Height = square.Dx(), square.Dy()
	}
	to := size{H: i.Height, W: i.Width}
	if o.size != (size{}) {
		to = o.size
		if shape := float64(i.Width*to.H) / float64(i.Height*to.W); shape > 1.02 || shape < 0.98 {
			c.notes = append(c.notes, fmt.Sprintf("resizing %dx%d to %dx%d changes the picture's shape", i.Height, i.Width, to.H, to.W))
		}
	}
	switch same := i.Height == to.H && i.Width == to.W; {
	case o.kind() != "":
		if c.Reader, err = o.controlled(ctx, c.Reader, path, to); err != nil {
			return nil, err
		}
	case o.tiles.stacked && !same:
		c.Reader = o.restacked(c.Reader, to)
	case o.index && !same:
		c.Reader = newStage(c.Reader, to.W, to.H, func(dst, src *video.Frame) error {
			labelmap.ResizeFrame(dst, src)
			return nil
		})
	case !same:
		c.Reader = resized(c.Reader, to)
	}
	if len(o.tiles.beside) > 0 {
		if c.Reader, err = o.joined(ctx, c.Reader, to); err != nil {
			return nil, err
		}
	}
	if o.tiles.instances && o.labels.instances != "" {
		if c.Reader, err = o.instanced(c.Reader, path, i, to); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// plain opens a clip as it is.
func (o *clipOptions) plain(ctx context.Context, path string) (*clip, error) {
	return o.raw(ctx, path, false)
}

// raw opens a clip whose pictures may hold label ids.
func (o *clipOptions) raw(ctx context.Context, path string, index bool) (*clip, error) {
	c, err := o.decode(ctx, path, index)
	if errors.Is(err, ffio.ErrMissing) {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	return c, withCode(jobs.ExitUnreadable, err)
}

func (o *clipOptions) decode(ctx context.Context, path string, index bool) (*clip, error) {
	st, err := os.Stat(path)
	var at *fs.PathError
	switch {
	case errors.As(err, &at):
		return nil, fmt.Errorf("open %q: %w", path, at.Err)
	case err != nil:
		return nil, err
	case st.IsDir():
		s := video.StillsOptions{Rate: video.Rational(o.rate), InFlight: inFlight}
		if index {
			s.Read = labelmap.ReadLabels
		}
		r, err := video.OpenStills(ctx, path, s)
		return &clip{Reader: r, decoder: "stills"}, err
	}
	info, err := ffio.Probe(ctx, path)
	if err != nil {
		return nil, err
	}
	right, why := cvio.Right(info)
	if o.decoder == "opencv" || o.decoder == "auto" && right {
		r, err := openCV(ctx, info)
		c := &clip{Reader: r, decoder: "opencv"}
		if !right {
			c.notes = append(c.notes, "OpenCV does not read this clip exactly: "+why)
		}
		if err == nil || o.decoder == "opencv" {
			return c, err
		}
		why = err.Error()
	}
	r, err := ffio.OpenProbed(ctx, info, ffio.ReadOptions{InFlight: inFlight})
	if err != nil {
		return nil, err
	}
	c := &clip{Reader: r, decoder: "ffmpeg", notes: r.Notes()}
	if o.decoder == "auto" {
		c.notes = append(c.notes, "decoded by ffmpeg, not OpenCV: "+why)
	}
	return c, nil
}

// openCV decodes through OpenCV, which does not tell a broken picture from a
// whole one, under the eyes of ffmpeg, which does.
func openCV(ctx context.Context, info video.Info) (video.Reader, error) {
	r, err := cvio.Open(ctx, info, cvio.ReadOptions{InFlight: inFlight})
	if err != nil {
		return nil, err
	}
	w, err := ffio.Watch(r)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return w, nil
}

// rate is the value of --rate.
type rate video.Rational

// String implements pflag.Value.
func (r *rate) String() string {
	if r.Num == 0 {
		return ""
	}
	return video.Rational(*r).String()
}

// Type implements pflag.Value.
func (r *rate) Type() string { return "N[/D]" }

// Set implements pflag.Value.
func (r *rate) Set(text string) error {
	num, den, ok := strings.Cut(text, "/")
	if !ok {
		den = "1"
	}
	n, err := strconv.ParseInt(num, 10, 32)
	d, derr := strconv.ParseInt(den, 10, 32)
	if err != nil || derr != nil || n < 1 || d < 1 {
		return fmt.Errorf("%q is no frame rate; give one like 25 or 30000/1001", text)
	}
	*r = rate{Num: n, Den: d}
	return nil
}

// stem is the name of a clip: that of its file without the extension, or of
// its folder.
func stem(path string) string {
	base := filepath.Base(path)
	if ext := filepath.Ext(base); isVideo(base) && ext != base {
		return strings.TrimSuffix(base, ext)
	}
	return base
}

// isVideo reports whether a name looks like a video's.
func isVideo(name string) bool {
	return slices.Contains([]string{".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}, strings.ToLower(filepath.Ext(name)))
}

// isStill reports whether a name looks like a picture's.
func isStill(name string) bool {
	return slices.Contains([]string{".png", ".jpg", ".jpeg"}, strings.ToLower(filepath.Ext(name)))
}
