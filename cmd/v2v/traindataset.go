package main

import (
	"slices"

	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/pose"
)

// DatasetTOML is the part of the TOML that says what a data folder has in place of
// control pictures, by vid2vid's names. Its name is exported because TOML is written
// of exported embedded structs alone.
type DatasetTOML struct {
	Dataset string `toml:"dataset_mode,omitempty"` // temporal, which none is too, pose or face

	DensePoseOnly bool    `toml:"densepose_only,omitempty"`     // poses by train_densepose alone
	OpenPoseOnly  bool    `toml:"openpose_only,omitempty"`      // or by train_openpose alone
	RandomDrop    float64 `toml:"random_drop_prob,omitempty"`   // how likely each part, limb, hand and face is left out; published is 0.05
	FaceRemoved   bool    `toml:"remove_face_labels,omitempty"` // no head in DensePose's pictures, and a restless one in OpenPose's
	BasicPoints   bool    `toml:"basic_point_only,omitempty"`   // bodies without hands and faces
	People        string  `toml:"people,omitempty"`             // one, which none is too, or all
	Confidence    float64 `toml:"confidence,omitempty"`         // draw joints that OpenPose is surer of; 0 is 0.05
	Stroke        float64 `toml:"stroke,omitempty"`             // how many times as thick lines are; 0 is 1

	NoCanny     bool `toml:"no_canny_edge,omitempty"`       // faces without the edges of what is around them
	NoDistances bool `toml:"no_dist_map,omitempty"`         // curves alone, without their 14 distances
	ScalePoints bool `toml:"random_scale_points,omitempty"` // parts of faces are 0.9 to 1.1 times as large
	CropFace    bool `toml:"crop_face,omitempty"`           // a square about the face, cut out of a clip, is all that is seen
}

func (c DatasetTOML) poses() bool { return c.Dataset == "pose" }
func (c DatasetTOML) faces() bool { return c.Dataset == "face" }

// channels are those of a control picture of the data.
func (c DatasetTOML) channels() int {
	switch {
	case c.poses() && !c.DensePoseOnly && !c.OpenPoseOnly:
		return 6
	case c.faces() && c.NoDistances:
		return 1
	case c.faces():
		return 15
	}
	return 3
}

// kind is how control pictures are made, as v2v prepare and v2v convert call it.
func (c DatasetTOML) kind() string {
	switch {
	case c.faces():
		return "face"
	case c.poses() && c.DensePoseOnly:
		return "densepose"
	case c.poses() && c.OpenPoseOnly:
		return "pose"
	case c.poses():
		return bothPoses
	}
	return ""
}

func (c *trainConfig) checkDataset() error {
	d := c.DatasetTOML
	ofPoses := d.DensePoseOnly || d.OpenPoseOnly || d.RandomDrop != 0 || d.FaceRemoved || d.BasicPoints || d.People != "" || d.Confidence != 0 || d.Stroke != 0
	ofFaces := d.NoCanny || d.NoDistances || d.ScalePoints || d.CropFace
	switch {
	case !slices.Contains([]string{"", "temporal", "pose", "face"}, d.Dataset):
		return usage("configuration: dataset_mode is %q; give temporal, pose or face", d.Dataset)
	case ofPoses && !d.poses():
		return usage("configuration: densepose_only, openpose_only, random_drop_prob, remove_face_labels, basic_point_only, people, confidence and stroke are for dataset_mode=pose")
	case ofFaces && !d.faces():
		return usage("configuration: no_canny_edge, no_dist_map, random_scale_points and crop_face are for dataset_mode=face")
	case !d.poses() && !d.faces() && c.Generator.LabelNC == 0 && c.Generator.InputNC > 3:
		return usage("configuration: generator.input_nc is %d, but pictures have 3 channels: leave it out, or give dataset_mode=pose for 6 or face for 15", c.Generator.InputNC)
	case !d.poses() && !d.faces():
		return nil
	case c.Generator.LabelNC > 0:
		return usage("configuration: dataset_mode=%s has no label ids: leave out generator.label_nc", d.Dataset)
	case c.PartDrop > 0:
		return usage("configuration: part_drop is for DensePose's pictures in train_A; dataset_mode=pose has random_drop_prob")
	case c.Generator.InputNC != d.channels() && !(d.NoDistances && c.Generator.InputNC == 3):
		return usage("configuration: dataset_mode=%s has %d channels, generator.input_nc is %d: leave it out", d.Dataset, d.channels(), c.Generator.InputNC)
	case d.DensePoseOnly && d.OpenPoseOnly:
		return usage("configuration: densepose_only and openpose_only exclude one another")
	case !(d.RandomDrop >= 0 && d.RandomDrop < 1):
		return usage("configuration: random_drop_prob is %g; give 0 to below 1", d.RandomDrop)
	case d.DensePoseOnly && (d.BasicPoints || d.People != "" || d.Confidence != 0 || d.Stroke != 0):
		return usage("configuration: basic_point_only, people, confidence and stroke are for what OpenPose has found: leave out densepose_only")
	case d.DensePoseOnly && c.D.Face == "openpose", d.OpenPoseOnly && c.D.Face == "densepose", d.faces() && c.D.Face != "":
		return usage("configuration: discriminator.face is %q, which the data do not have", c.D.Face)
	}
	if d.faces() {
		return nil
	}
	o := poseOptions{dir: "train_openpose", people: d.People, confidence: d.Confidence, stroke: d.Stroke}
	if o.people == "" {
		o.people = "one"
	}
	if o.stroke == 0 {
		o.stroke = 1
	}
	return o.check()
}

// dataset makes a data folder's poses or faces control pictures.
func (s *session) dataset(o *train.DataOptions) error {
	d := s.c.DatasetTOML
	switch {
	case d.poses():
		o.Pose = &train.PoseData{Dense: !d.OpenPoseOnly, Open: !d.DensePoseOnly, All: d.People == "all", Drop: d.RandomDrop, Faceless: d.FaceRemoved,
			Draw: pose.Options{Body: d.Confidence, Width: d.Stroke}}
		if d.BasicPoints {
			o.Pose.Draw.Without = pose.Without{Left: true, Right: true, Face: true}
		}
	case d.faces():
		o.Face = &train.FaceData{Flat: d.NoDistances, Rescale: d.ScalePoints, Square: d.CropFace}
		if d.NoCanny {
			return nil
		}
		e, err := cvimg.NewExtractor("edges", cvimg.Options{})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, e.Close)
		o.Face.Edges = func(dst, src *video.Frame) error { return e.Apply(dst, src) }
	}
	return nil
}
