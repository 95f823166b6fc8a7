package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/video"
)

func newPreparePose(a *app) *cobra.Command {
	var o prepareOptions
	c := &cobra.Command{
		Use:   "pose --keypoints DIR CLIP... -o DATA",
		Short: "Make pairs of drawn OpenPose skeletons and real frames",
		Long: `Draws what OpenPose has found (BODY_25, hands and face where they are in the
files) in OpenPose's colours, at the size of the pictures. DIR holds one JSON
file a frame, as OpenPose writes them with --write_json, or a folder of such for
each clip, called like the clip. Where the clip is a folder of pictures, files
go by their names; otherwise by the number in theirs. A file without people
gives a black picture; a missing one is an error, before any work. What was
drawn goes into train_openpose too, as JSON of the pictures' size, and
DensePose's pictures (--densepose) into train_densepose: with dataset_mode=pose
v2v train takes those, and draws anew for every sample.`,
		Example: `  v2v prepare pose --keypoints json/ dance.mp4 -o data --size 256x256
  v2v prepare pose --keypoints json/ *.mp4 -o data --people all
  v2v prepare pose --keypoints json/ --densepose iuv/ dance.mp4 -o data`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.clip.pose.dir == "" {
				return usage("give --keypoints DIR, a folder of OpenPose's JSON files")
			}
			return runPrepare(c.Context(), a, o, args)
		},
	}
	o.clip.pose.flags(c.Flags())
	c.Flags().StringVar(&o.clip.pose.iuv, "densepose", "", "folder of DensePose's IUV pictures, PNGs, one a frame, or with one such folder a clip")
	o.flags(c.Flags())
	a.jsonFlag(c)
	return c
}

func newPrepareFace(a *app) *cobra.Command {
	var o prepareOptions
	c := &cobra.Command{
		Use:   "face --landmarks DIR CLIP... -o DATA",
		Short: "Make pairs of drawn face landmarks and real frames",
		Long: `Draws the 68 landmarks that dlib finds as facial curves, at the size of the
pictures, and the part of the face that each pixel is of (0 to 6) into
train_inst. DIR holds one text file a frame, 68 lines of x,y, or a folder of
such for each clip, called like the clip. With --maps, train_maps gets all 15
planes of each frame: the curves, and how far away each of 14 curves is. The
landmarks go into train_keypoints too, in the pictures' size: with
dataset_mode=face v2v train draws all planes of them for every sample.`,
		Example: `  v2v prepare face --landmarks points/ talk.mp4 -o data --background`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.clip.face.dir == "" {
				return usage("give --landmarks DIR, a folder of files of 68 landmarks")
			}
			return runPrepare(c.Context(), a, o, args)
		},
	}
	o.clip.face.flags(c.Flags())
	c.Flags().BoolVar(&o.maps, "maps", false, "keep the curves and their 14 distance maps too, three planes to a picture's tile")
	o.flags(c.Flags())
	a.jsonFlag(c)
	return c
}

func newPrepareLabels(a *app) *cobra.Command {
	var o prepareOptions
	c := &cobra.Command{
		Use:   "labels (--palette FILE | --ids | --densepose) CLIP -o DATA",
		Short: "Make pairs of label maps and real frames",
		Long: `Turns a coloured segmentation clip into pictures of label ids, each pixel the
label of the nearest colour. A frame with more than one pixel in a thousand
beyond the tolerance is refused. With --ids the pictures hold ids already, as
grey levels or as the index of palette PNGs; with --densepose they are IUV
pictures of DensePose. --real is the clip that they belong to, frame for frame;
without it only the control pictures are made. With --instances, pictures differ
where instances do. Ids are never mixed by resizing.`,
		Example: `  v2v prepare labels --palette city.txt labels.mkv --real drive.mp4 -o data
  v2v prepare labels --ids maps/ --real drive.mp4 --instances inst/ -o data
  v2v prepare labels --densepose iuv/dance --real dance.mp4 -o data`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !o.clip.labels.wanted() {
				return usage("give --palette FILE, --ids or --densepose")
			}
			o.clip.labels.packed = true
			return runPrepare(c.Context(), a, o, args)
		},
	}
	f := c.Flags()
	o.clip.labels.flags(f)
	f.BoolVar(&o.clip.labels.densepose, "densepose", false, "the pictures are DensePose's: part in blue, place in red and green")
	f.IntVar(&o.clip.labels.labels, "label-nc", 0, "refuse ids from this number up")
	f.StringVar(&o.real, "real", "", "clip of the real frames")
	o.flags(f)
	a.jsonFlag(c)
	return c
}

// unpaired reports whether there are no real frames to go with the control
// pictures.
func (o *prepareOptions) unpaired() bool { return o.clip.labels.wanted() && o.real == "" }

// besides looks at the real clip that goes with one of labels.
func (o *prepareOptions) besides(ctx context.Context, p *prepared, info video.Info) (problems []string, err error) {
	c, ok := p.control.(*labelControl)
	if !ok {
		return nil, nil
	}
	if o.real == "" {
		return problems, nil
	}
	r, err := o.clip.plain(ctx, o.real)
	if err != nil {
		return nil, err
	}
	real := r.Info()
	r.Close() // nothing was read
	if real.Frames() != info.Frames() {
		problems = append(problems, fmt.Sprintf("%s has %d frames, %s has %d", p.Source, info.Frames(), o.real, real.Frames()))
	}
	if real.Width*info.Height != real.Height*info.Width {
		problems = append(problems, fmt.Sprintf("%s is %dx%d and %s is %dx%d (height x width): their shapes differ",
			p.Source, info.Height, info.Width, o.real, real.Height, real.Width))
	}
	c.open = func(ctx context.Context) (video.Reader, error) { return o.clip.plain(ctx, p.Source) }
	return problems, nil
}
