package main

import (
	"fmt"
	"text/tabwriter"
	"unicode/utf8"
)

// frameScore is what eval measures of one frame.
type frameScore struct {
	n              int // of the frame
	psnr           float64
	paired         bool // there was a frame before it to warp
	warp, realWarp float64
}

// stretch is a run of frames of one clip, from the first to the last of its
// numbers, and the means over what was measured there.
type stretch struct {
	From     int     `json:"from"`
	To       int     `json:"to"`
	PSNR     float64 `json:"psnr"`
	Warp     float64 `json:"warp_error"`
	RealWarp float64 `json:"real_warp_error"`
}

// stretches are means by so many frames; the warping error of two frames
// counts where the later one lies. A stretch without a measured frame is left
// out.
func stretches(frames []frameScore, by int) []stretch {
	var out []stretch
	for i := 0; i < len(frames); {
		from := frames[i].n / by * by
		s := stretch{From: from}
		n, pairs := 0, 0
		for ; i < len(frames) && frames[i].n < from+by; i++ {
			f := frames[i]
			s.To, s.PSNR, n = f.n, s.PSNR+f.psnr, n+1
			if f.paired {
				s.Warp, s.RealWarp, pairs = s.Warp+f.warp, s.RealWarp+f.realWarp, pairs+1
			}
		}
		s.PSNR /= float64(n)
		s.Warp /= float64(max(pairs, 1))
		s.RealWarp /= float64(max(pairs, 1))
		out = append(out, s)
	}
	return out
}

// printScores prints the table of clips and, where it is wanted, how each clip
// went on.
func (a *app) printScores(r evalReport) error {
	if a.json {
		return a.event(r)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "clip\tframes\tPSNR\tSSIM\twarp\treal\tforeground\tchroma\t")
	row := func(name string, frames int, s scores) {
		inside := "-"
		if s.Foreground != nil {
			inside = fmt.Sprintf("%.2f", *s.Foreground)
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.4f\t%.6f\t%.6f\t%s\t%.2f\t\n", short(quoted(name)), frames, s.PSNR, s.SSIM, s.Warp, s.RealWarp, inside, s.Chroma)
	}
	frames := 0
	for _, c := range r.Clips {
		row(c.Name, c.Frames, c.scores)
		frames += c.Frames
	}
	if len(r.Clips) > 1 {
		row("mean", frames, r.Mean)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "dB: PSNR, in the foreground, of chroma; warping error, and of the real clip")
	if m := r.Mean.MeanFrame; m != nil {
		line := fmt.Sprintf("mean frame: PSNR %.2f dB", *m)
		if f := r.Mean.MeanFrameForeground; f != nil {
			line += fmt.Sprintf(", in the foreground %.2f dB", *f)
		}
		fmt.Fprintln(a.out, line)
	}
	return a.printStretches(r.Clips)
}

func (a *app) printStretches(clips []clipScores) error {
	for _, c := range clips {
		if len(c.By) == 0 {
			continue
		}
		fmt.Fprintf(a.out, "\n%s\n", quoted(c.Name))
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "frames\tPSNR\twarp\treal\t")
		for _, s := range c.By {
			fmt.Fprintf(w, "%d-%d\t%.2f\t%.6f\t%.6f\t\n", s.From, s.To, s.PSNR, s.Warp, s.RealWarp)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// nameColumns is what is left for names in a table of 80 columns.
const nameColumns = 15

// short keeps the end of a long name.
func short(name string) string {
	if utf8.RuneCountInString(name) <= nameColumns {
		return name
	}
	r := []rune(name)
	return "…" + string(r[len(r)-nameColumns+1:])
}
