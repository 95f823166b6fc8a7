package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/published"
	"github.com/v2v/v2v/video"
)

// fidPictures is how many pictures FID is measured of, at most: the distance of
// few is larger than that of many, so that all rows have as many.
const fidPictures = 256

// fidMeter measures the Fréchet distance (Heusel et al. 2017) of pictures to
// the real ones, by the features of an Inception network.
type fidMeter struct {
	net  *published.Inception
	real [][]float64
}

// newFID encodes the real pictures. It is nil where no weights are named.
func newFID(ctx context.Context, dev engine.Device, weights string, real []*video.Frame) (*fidMeter, error) {
	if weights == "" {
		return nil, nil
	}
	net, err := published.OpenInception(dev, weights)
	if err != nil {
		return nil, withCode(exitModel, fmt.Errorf("--inception: %w", err))
	}
	m := &fidMeter{net: net}
	if m.real, err = m.features(ctx, pick(real, evenly(len(real), fidPictures))); err != nil {
		return nil, errors.Join(err, net.Close())
	}
	return m, nil
}

// count is how many pictures are measured.
func (m *fidMeter) count() int {
	if m == nil {
		return 0
	}
	return len(m.real)
}

func (m *fidMeter) features(ctx context.Context, pictures []*video.Frame) ([][]float64, error) {
	if len(pictures) < 2 {
		return nil, errors.New("FID wants at least two pictures")
	}
	var all [][]float64
	for _, p := range pictures {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		f, err := m.net.Features(p)
		if err != nil {
			return nil, fmt.Errorf("FID: %w", err)
		}
		all = append(all, f)
	}
	return all, nil
}

// of is the distance of pictures; nil where none is measured.
func (m *fidMeter) of(ctx context.Context, pictures []*video.Frame) (*float64, error) {
	if m == nil {
		return nil, nil
	}
	made, err := m.features(ctx, pictures)
	if err != nil {
		return nil, err
	}
	d, err := frechet(m.real, made)
	return &d, err
}

func (m *fidMeter) close() error {
	if m == nil {
		return nil
	}
	return m.net.Close()
}

// frechet is the squared Fréchet distance of two normal distributions that have
// the means and covariances of a and of b, rows of features:
// |ma-mb|^2 + tr(Ca) + tr(Cb) - 2 tr(sqrt(Ca Cb)). With centred rows A and B the
// eigenvalues of Ca Cb are the squares of the singular values of A B', over
// (n-1)(m-1), so that no root of a matrix of 2048 x 2048 is taken.
func frechet(a, b [][]float64) (float64, error) {
	ma, ca, ta := centred(a)
	mb, cb, tb := centred(b)
	d := ta + tb
	for i := range ma {
		d += (ma[i] - mb[i]) * (ma[i] - mb[i])
	}
	var product mat.Dense
	product.Mul(ca, cb.T())
	var svd mat.SVD
	if !svd.Factorize(&product, mat.SVDNone) {
		return 0, errors.New("FID: the features have no singular values; they are not finite")
	}
	scale := math.Sqrt(float64(len(a)-1) * float64(len(b)-1))
	for _, s := range svd.Values(nil) {
		d -= 2 * s / scale
	}
	return max(0, d), nil
}

// centred are the mean of rows, the rows without it, and the trace of their
// covariance.
func centred(rows [][]float64) (mean []float64, c *mat.Dense, trace float64) {
	n, width := len(rows), len(rows[0])
	mean = make([]float64, width)
	for _, r := range rows {
		for i, v := range r {
			mean[i] += v / float64(n)
		}
	}
	c = mat.NewDense(n, width, nil)
	for k, r := range rows {
		for i, v := range r {
			c.Set(k, i, v-mean[i])
			trace += (v - mean[i]) * (v - mean[i]) / float64(n-1)
		}
	}
	return mean, c, trace
}
