package op

// L1 is the mean of |a-b|, a scalar.
type L1 struct{}

// L1Grad is the gradient of L1 with respect to a: g*sign(a-b)/n.
// Inputs: a, b, g (scalar). That with respect to b is its negative.
type L1Grad struct{}

// MSE is the mean of (x-Target)^2, a scalar: a least-squares GAN's term.
type MSE struct{ Target float32 }

// MSEGrad is the gradient of MSE: 2*g*(x-Target)/n. Inputs: x, g (scalar).
type MSEGrad struct{ Target float32 }

// Mean is the mean of all elements, a scalar.
type Mean struct{}

// MeanGrad is the gradient of Mean. Inputs: x (for its shape), g (scalar).
type MeanGrad struct{}

// Combine is the weighted sum of N scalars, the total of several loss terms.
// The weights are written out one by one so that the hash holds them all.
type Combine struct {
	N       int
	Weights [MaxTerms]float32
}

// MaxTerms bounds the terms of one Combine; nest them for more.
const MaxTerms = 32
