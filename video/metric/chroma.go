package metric

import "github.com/v2v/v2v/video"

// Chroma is the PSNR of colour without brightness: of Cb and Cr as JPEG defines
// them, each of 255 values. Frames of equal colours give +Inf.
func Chroma(a, b *video.Frame) (float64, error) {
	if err := checkPair("chroma psnr", a, b); err != nil {
		return 0, err
	}
	var sum float64
	for i := 0; i < len(a.Pix); i += 3 {
		red, green, blue := float64(a.Pix[i])-float64(b.Pix[i]), float64(a.Pix[i+1])-float64(b.Pix[i+1]), float64(a.Pix[i+2])-float64(b.Pix[i+2])
		y := 0.299*red + 0.587*green + 0.114*blue
		cb, cr := (blue-y)/1.772, (red-y)/1.402
		sum += cb*cb + cr*cr
	}
	return Decibels(sum / float64(2*len(a.Pix)/3)), nil
}
