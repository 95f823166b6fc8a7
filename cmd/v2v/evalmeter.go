package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/metric"
)

// maxPSNR stands for the PSNR of equal frames, which is infinite.
const maxPSNR = 100

// evalMeter walks through a generated and a real clip side by side.
type evalMeter struct {
	every      int
	estimator  flow.Estimator
	fake, real *clip
	masks      video.Reader // nil without one
	baseline   *video.Frame // nil without one
	warp       *flow.WarpErrorMeter

	n                     int // frames read
	frames, pairs, inside int // frames, pairs and frames with a mask measured
	psnr, ssim, chroma    float64
	foreground            float64
	fakeWarp, realWarp    float64
	mean, meanInside      float64 // PSNR of the baseline
	each                  []frameScore
	err                   error
}

// openMeter opens the clips of a pair and refuses what cannot be compared.
func (o evalOptions) openMeter(ctx context.Context, p pair, e flow.Estimator) (m *evalMeter, err error) {
	m = &evalMeter{every: o.every, estimator: e}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.fake, err = o.clip.plain(ctx, p.fake); err != nil {
		return m, err
	}
	if m.real, err = o.clip.plain(ctx, p.real); err != nil {
		return m, err
	}
	if err := alike("--real", p.real, m.real.Info(), p.fake, m.fake.Info()); err != nil {
		return m, err
	}
	switch p.mask {
	case "":
		return m, nil
	case mog2:
		m.masks, err = o.foreground(ctx, p.real)
		return m, err
	}
	masks, err := o.clip.plain(ctx, p.mask)
	if err != nil {
		return m, err
	}
	m.masks = masks
	return m, alike("--mask", p.mask, masks.Info(), p.fake, m.fake.Info())
}

// alike refuses clips of another size or length than the generated one.
func alike(flag, path string, i video.Info, fakePath string, fake video.Info) error {
	if i.Width != fake.Width || i.Height != fake.Height {
		return usage("%s %s is %dx%d and --fake %s is %dx%d (height x width): make them with one --size",
			flag, path, i.Height, i.Width, fakePath, fake.Height, fake.Width)
	}
	if i.Frames() != fake.Frames() {
		return usage("%s %s has %d frames and --fake %s has %d: compare clips of the same frames", flag, path, i.Frames(), fakePath, fake.Frames())
	}
	return nil
}

// foreground is the moving foreground of a clip as a clip of masks. The
// background is learned from the whole clip, as often as the warm-up of a
// short one takes, before any frame is masked.
func (o evalOptions) foreground(ctx context.Context, path string) (video.Reader, error) {
	fg, err := cvimg.NewForeground(cvimg.MaskOptions{})
	if err != nil {
		return nil, err
	}
	r, err := o.clip.plain(ctx, path)
	if err != nil {
		return nil, errors.Join(err, fg.Close())
	}
	i := r.Info()
	for seen := 0; seen < fg.WarmUp(); seen += i.Frames() {
		if err := o.clip.eachFrame(ctx, path, i.Frames(), func(_ int, f *video.Frame) error { return fg.Learn(f) }); err != nil {
			return nil, errors.Join(err, r.Close(), fg.Close())
		}
	}
	s := newStage(r, i.Width, i.Height, fg.Apply)
	s.close = fg.Close
	return s, nil
}

// next measures a frame. It returns false at the end, with the reason in err
// where that came too early.
func (m *evalMeter) next(ctx context.Context) bool {
	readers := []video.Reader{m.fake, m.real}
	if m.masks != nil {
		readers = append(readers, m.masks)
	}
	frames := make([]*video.Frame, 0, 3)
	defer func() {
		for _, f := range frames {
			f.Release()
		}
	}()
	ended := 0
	for _, r := range readers {
		f, err := r.Next(ctx)
		switch {
		case err == io.EOF:
			ended++
		case err != nil:
			m.err = withCode(jobs.ExitUnreadable, err)
			return false
		default:
			frames = append(frames, f)
		}
	}
	if ended > 0 {
		if ended < len(readers) {
			m.err = usage("one clip ends after %d frames, another goes on: compare clips of the same frames", m.n)
		}
		return false
	}
	m.err = m.measure(ctx, frames[0], frames[1], frames[2:])
	m.n++
	return m.err == nil
}

func (m *evalMeter) measure(ctx context.Context, fake, real *video.Frame, mask []*video.Frame) error {
	if m.n%m.every == 0 {
		if err := m.compare(fake, real, mask); err != nil {
			return err
		}
		if m.n > 0 {
			if err := m.warp.Add(ctx, real, fake, real); err != nil {
				return err
			}
			m.fakeWarp += m.warp.Result(0).Mean
			m.realWarp += m.warp.Result(1).Mean
			m.pairs++
			last := &m.each[len(m.each)-1]
			last.paired, last.warp, last.realWarp = true, m.warp.Result(0).Mean, m.warp.Result(1).Mean
		}
	}
	if (m.n+1)%m.every != 0 {
		return nil
	}
	m.warp = flow.NewWarpErrorMeter(m.estimator) // a pair at a time: those between are left out
	return m.warp.Add(ctx, real, fake, real)
}

func (m *evalMeter) compare(fake, real *video.Frame, mask []*video.Frame) error {
	p, err := metric.PSNR(fake, real, nil)
	if err != nil {
		return err
	}
	s, err := metric.SSIM(fake, real)
	if err != nil {
		return fmt.Errorf("frame %d: %w", m.n, err)
	}
	c, err := metric.Chroma(fake, real)
	if err != nil {
		return err
	}
	m.psnr += min(p, maxPSNR)
	m.ssim += s
	m.chroma += min(c, maxPSNR)
	m.frames++
	m.each = append(m.each, frameScore{n: m.n, psnr: min(p, maxPSNR)})
	if m.baseline != nil {
		if p, err = metric.PSNR(m.baseline, real, nil); err != nil {
			return err
		}
		m.mean += min(p, maxPSNR)
	}
	if len(mask) == 0 {
		return nil
	}
	return m.compareInside(fake, real, mask[0])
}

// compareInside measures the foreground; a frame without any does not count.
func (m *evalMeter) compareInside(fake, real, mask *video.Frame) error {
	p, err := metric.PSNR(fake, real, mask)
	if errors.Is(err, metric.ErrEmptyMask) {
		return nil
	} else if err != nil {
		return err
	}
	m.foreground += min(p, maxPSNR)
	m.inside++
	if m.baseline == nil {
		return nil
	}
	if p, err = metric.PSNR(m.baseline, real, mask); err != nil {
		return err
	}
	m.meanInside += min(p, maxPSNR)
	return nil
}

func (m *evalMeter) scores() scores {
	over := func(sum float64, n int) float64 { return sum / float64(max(n, 1)) }
	s := scores{PSNR: over(m.psnr, m.frames), SSIM: over(m.ssim, m.frames), Chroma: over(m.chroma, m.frames),
		Warp: over(m.fakeWarp, m.pairs), RealWarp: over(m.realWarp, m.pairs)}
	if m.inside > 0 {
		f := over(m.foreground, m.inside)
		s.Foreground = &f
	}
	if m.baseline != nil {
		p := over(m.mean, m.frames)
		s.MeanFrame = &p
		if m.inside > 0 {
			f := over(m.meanInside, m.inside)
			s.MeanFrameForeground = &f
		}
	}
	return s
}

// close closes what is open. Readers that were stopped early may complain, and
// those that were not have said what they had to say.
func (m *evalMeter) close() error {
	var err error
	if m.masks != nil {
		err = m.masks.Close()
	}
	for _, c := range []*clip{m.fake, m.real} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}
