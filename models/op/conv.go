package op

// Conv is a 2-D cross-correlation as PyTorch's Conv2d.
// Inputs: x (N,C,H,W), w (O,C,KH,KW) and, with Bias, b (O).
// Output: (N,O,OH,OW), OH = (H+2*Pad-KH)/Stride+1.
// With Reflect the padding mirrors the picture without its edge pixel
// (ReflectionPad2d) and needs Pad < H and Pad < W; otherwise it is zeros.
type Conv struct {
	Stride, Pad int
	Reflect     bool
	Bias        bool
}

// ConvGradX is the gradient of Conv with respect to x.
// Inputs: w (O,C,KH,KW), gy (N,O,OH,OW). Output: (N,C,H,W).
type ConvGradX struct {
	Stride, Pad int
	Reflect     bool
	H, W        int // of x
}

// ConvGradW is the gradient of Conv with respect to w.
// Inputs: x (N,C,H,W), gy (N,O,OH,OW). Output: (O,C,KH,KW).
type ConvGradW struct {
	Stride, Pad int
	Reflect     bool
	KH, KW      int
}

// ConvT is a transposed convolution as PyTorch's ConvTranspose2d.
// Inputs: x (N,I,H,W), w (I,O,KH,KW) and, with Bias, b (O).
// Output: (N,O,OH,OW), OH = (H-1)*Stride-2*Pad+KH+OutPad.
// Its gradients are Conv{Stride,Pad} of gy by w, and ConvGradW with x and gy
// in exchanged places.
type ConvT struct {
	Stride, Pad, OutPad int
	Bias                bool
}

// ChannelSum adds over all axes but the channel: (N,C,H,W) to (C). It is the
// gradient of a bias.
type ChannelSum struct{}
