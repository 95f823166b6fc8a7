package op

// Add is a+b of two tensors of one shape.
type Add struct{}

// Sub is a-b of two tensors of one shape.
type Sub struct{}

// Mul is a*b. b has a's shape, or is (N,1,H,W) and serves every channel of a.
type Mul struct{}

// MulSum is the gradient of Mul with respect to a b that served every channel:
// a*b added over the channels. Inputs: a, b (N,C,H,W). Output: (N,1,H,W).
type MulSum struct{}

// Scale is By*x+Plus.
type Scale struct{ By, Plus float32 }

// Blend is raw*w + warped*(1-w), vid2vid's choice between hallucinating (w=1)
// and warping (w=0). Inputs: raw, warped (N,C,H,W), w (N,1,H,W).
type Blend struct{}
