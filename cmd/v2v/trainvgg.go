package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/train"
)

// vggHelp is the part of train's help about the perceptual loss.
const vggHelp = `--vgg FILE, torchvision's VGG19 weights (.pth or safetensors), adds the
perceptual loss: 10 times (weights.perceptual; perceptual for networks of single
frames), in place of the L1 term of vid2vid and pix2pixHD unless that is set.
RUN notes FILE and its SHA-256; --resume refuses another, and takes it from
where --vgg says.`

// unsaidL1 stands for a weight of the L1 term that nobody gave.
var unsaidL1 = float32(math.Inf(-1))

// settleL1 is the weight where nobody gave one: the usual one, or where L1 only
// stands in for the perceptual loss none beside that.
func settleL1(l1 *float32, usual float32, p train.Perceptual, standsIn bool) {
	if *l1 != unsaidL1 {
		return
	}
	*l1 = usual
	if standsIn && p.VGG != "" {
		*l1 = 0
	}
}

// tellUnperceived says once, when training starts, that there are none.
func (s *session) tellUnperceived() {
	if s.unperceived {
		s.a.say("no --vgg weights: the perceptual loss is left out, and L1 stands in for it")
	}
	s.unperceived = false
}

// perceive opens the weights of the perceptual loss, which of a run that is
// resumed have to be those it was begun with.
func (s *session) perceive(p *train.Perceptual, wanted bool) (err error) {
	path := p.VGG
	if s.o.vgg != "" && p.Sum != "" {
		path = s.o.vgg
	}
	if path == "" {
		s.unperceived = wanted
		return nil
	}
	net, err := models.OpenVGG19(path)
	if errors.Is(err, fs.ErrNotExist) {
		return withCode(exitModel, fmt.Errorf("%w; say with --vgg where VGG19's weights lie", err))
	} else if err != nil {
		return withCode(exitModel, fmt.Errorf("--vgg: %w", err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, net.Close())
		}
	}()
	sum, err := net.Sum()
	if err != nil {
		return err
	}
	if p.Sum == "" {
		if p.VGG, err = filepath.Abs(path); err != nil {
			return err
		}
	} else if p.Sum != sum {
		return withCode(jobs.ExitUsage, fmt.Errorf("%s is not the file of VGG19 weights that the run was begun with: its SHA-256 is %.12s, it was %.12s; name that with --vgg, or begin a new run", path, sum, p.Sum))
	}
	p.Sum, p.Net = sum, net
	s.closers = append(s.closers, net.Close)
	return nil
}
