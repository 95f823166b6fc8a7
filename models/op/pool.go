package op

// AvgPool averages K x K windows at a stride, PyTorch's AvgPool2d with
// count_include_pad=False: padding is not counted.
// Output: (N,C,OH,OW), OH = (H+2*Pad-K)/Stride+1.
type AvgPool struct{ K, Stride, Pad int }

// AvgPoolGrad is the gradient of AvgPool. Input: gy. Output: (N,C,H,W).
type AvgPoolGrad struct{ K, Stride, Pad, H, W int }
