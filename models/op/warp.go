package op

// Warp samples an image at (x+u, y+v), clamped to the border, bilinear: the
// align_corners=True grid_sample of vid2vid, with the flow in pixels.
// Inputs: image (N,C,H,W), flow (N,2,H,W). Output: (N,C,H,W).
type Warp struct{}

// WarpGradImage is the gradient of Warp with respect to the image.
// Inputs: flow, gy. Output: (N,C,H,W).
type WarpGradImage struct{}

// WarpGradFlow is the gradient of Warp with respect to the flow; where a
// sample was clamped it is zero along that axis.
// Inputs: image, flow, gy. Output: (N,2,H,W).
type WarpGradFlow struct{}
