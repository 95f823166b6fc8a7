package op

// Resize changes the size of (N,C,H,W), nearest or bilinear with pixel centres
// at half (PyTorch's interpolate with align_corners=False).
type Resize struct {
	H, W     int
	Bilinear bool
}

// ResizeGrad is the gradient of Resize. Input: gy. Output: (N,C,H,W).
type ResizeGrad struct {
	H, W     int
	Bilinear bool
}
