package cvimg

import "fmt"

// EdgeOptions tune the Canny edges.
type EdgeOptions struct {
	Sigma     float64 // of the Gaussian blur before, in pixels of the source
	Low, High float64 // hysteresis thresholds on the Sobel gradient |gx|+|gy| of 8-bit luminance
}

func (o EdgeOptions) withDefaults() EdgeOptions {
	if o.Sigma == 0 {
		o.Sigma = 1.4 // Canny's usual 5x5 kernel: takes out codec noise, keeps fingers
	}
	if o.High == 0 {
		// A step of about 45 levels under this blur: clothes against ground. On
		// vtest.avi 60 draws the lawn as moving speckle, 150 opens people's outlines.
		o.High = 100
	}
	if o.Low == 0 {
		o.Low = o.High / 2 // within the ratio of 2 to 3 that Canny's paper recommends
	}
	return o
}

func (o EdgeOptions) check() error {
	if o.Sigma < 0.1 || o.Sigma > 20 || o.Low <= 0 || o.High < o.Low {
		return fmt.Errorf("sigma %g, thresholds %g and %g: want sigma in 0.1 to 20, 0 < low <= high", o.Sigma, o.Low, o.High)
	}
	return nil
}

// MaskOptions tune the moving foreground.
type MaskOptions struct {
	History      int     // frames that the background remembers
	VarThreshold float64 // squared distance from the background, in variances, that is foreground
	WarmUp       int     // frames before anything is called foreground
}

func (o MaskOptions) withDefaults() MaskOptions {
	if o.History == 0 {
		o.History = 500 // OpenCV's: 20 s at 25 frames a second, longer than most people stand still
	}
	if o.VarThreshold == 0 {
		o.VarThreshold = 16 // OpenCV's: four standard deviations
	}
	if o.WarmUp == 0 {
		o.WarmUp = 60 // at a walking pace a person has left the place where the clip began with him
	}
	return o
}

func (o MaskOptions) check() error {
	if o.History < 1 || o.VarThreshold <= 0 || o.WarmUp < 1 {
		return fmt.Errorf("history %d, threshold %g, warm-up %d: all must be positive", o.History, o.VarThreshold, o.WarmUp)
	}
	return nil
}

// QuantOptions tune the colour regions.
type QuantOptions struct {
	Colors int // in the palette
	WarmUp int // frames that the palette is made from
}

func (o QuantOptions) withDefaults() QuantOptions {
	if o.Colors == 0 {
		o.Colors = 12 // enough for skin, clothes and ground to differ, few enough to hide texture
	}
	if o.WarmUp == 0 {
		o.WarmUp = 25 // one second: whoever is in the picture lends his colours
	}
	return o
}

func (o QuantOptions) check() error {
	if o.Colors < 2 || o.Colors > 256 || o.WarmUp < 1 {
		return fmt.Errorf("%d colours from %d frames: want 2 to 256 colours, at least one frame", o.Colors, o.WarmUp)
	}
	return nil
}
