package train

import "github.com/v2v/v2v/video"

// Luminance is a frame without its colours: Rec. 601 luma in every channel,
// rounded as OpenCV rounds it.
func Luminance(f *video.Frame) *video.Frame {
	out := video.NewFrame(f.W, f.H)
	for i := 0; i < len(f.Pix); i += 3 {
		y := byte((int(f.Pix[i])*4899 + int(f.Pix[i+1])*9617 + int(f.Pix[i+2])*1868 + 1<<13) >> 14)
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = y, y, y
	}
	return out
}
