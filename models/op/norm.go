package op

// Moments gathers the statistics that Normalize uses.
// Input: x (N,C,H,W). Output: (N,C,2), or (1,C,2) with Batch, holding the mean
// and 1/sqrt(biased variance + Eps) over H,W, or with Batch over N,H,W.
// It has no derivative of its own: Normalize's accounts for the path through
// the statistics.
type Moments struct {
	Batch bool
	Eps   float32
}

// Normalize computes (x-mean)*rstd, times gamma plus beta with Affine
// (InstanceNorm2d, and BatchNorm2d in training mode).
// Inputs: x (N,C,H,W), moments of x (N or 1,C,2) and, with Affine, gamma (C),
// beta (C). Output: (N,C,H,W).
type Normalize struct {
	Batch  bool
	Affine bool
}

// NormSums are the two sums that every gradient of Normalize is made of.
// Inputs: x, moments, gy. Output: (N or 1,C,2): the sums of gy and of gy*xhat
// over the axes that the moments were taken over, xhat = (x-mean)*rstd.
type NormSums struct{ Batch bool }

// NormGradX is the gradient of Normalize with respect to x, the path through
// the statistics included (Ioffe and Szegedy 2015):
// gx = gamma*rstd*(gy - mean(gy) - xhat*mean(gy*xhat)).
// Inputs: x, moments, gy, sums of NormSums and, with Affine, gamma (C).
type NormGradX struct {
	Batch  bool
	Affine bool
}

// SumsPick adds sums (N or 1,C,2) over the first axis and takes one of the two:
// 0 is the gradient of beta, 1 that of gamma. Output: (C).
type SumsPick struct{ Index int }
