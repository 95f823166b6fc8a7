package train

import (
	"math"
	"math/rand/v2"
	"slices"
)

// kmeansRounds is when Lloyd's algorithm is stopped at the latest.
const kmeansRounds = 100

// kmeans puts points into at most k clusters and gives their centres: Lloyd's
// algorithm, begun as k-means++ does (Arthur and Vassilvitskii 2007). Fewer
// points that differ give fewer clusters.
func kmeans(points [][]float64, k int, rng *rand.Rand) [][]float64 {
	centres := seedCentres(points, k, rng)
	of := make([]int, len(points))
	for range kmeansRounds {
		moved := false
		for i, p := range points {
			near, _ := nearest(p, centres)
			moved = moved || near != of[i]
			of[i] = near
		}
		sums := make([][]float64, len(centres))
		counts := make([]int, len(centres))
		for i, p := range points {
			if sums[of[i]] == nil {
				sums[of[i]] = make([]float64, len(p))
			}
			counts[of[i]]++
			for d, v := range p {
				sums[of[i]][d] += v
			}
		}
		for c, n := range counts {
			for d := range sums[c] {
				centres[c][d] = sums[c][d] / float64(n)
			}
		}
		if !moved {
			break
		}
	}
	return centres
}

// seedCentres draws points, each with a chance that grows with the square of its
// distance from those drawn before.
func seedCentres(points [][]float64, k int, rng *rand.Rand) [][]float64 {
	var centres [][]float64
	for len(centres) < min(k, len(points)) {
		far := make([]float64, len(points))
		var total float64
		for i, p := range points {
			far[i] = 1
			if len(centres) > 0 {
				_, far[i] = nearest(p, centres)
			}
			total += far[i]
		}
		if total == 0 {
			break // all points are centres
		}
		at, pick := rng.Float64()*total, 0
		for i, d := range far {
			if d > 0 {
				pick = i
			}
			if at -= d; at < 0 {
				break
			}
		}
		centres = append(centres, slices.Clone(points[pick]))
	}
	return centres
}

// nearest is the centre closest to p and the square of its distance.
func nearest(p []float64, centres [][]float64) (index int, square float64) {
	square = math.Inf(1)
	for c, centre := range centres {
		var d float64
		for i, v := range p {
			d += (v - centre[i]) * (v - centre[i])
		}
		if d < square {
			index, square = c, d
		}
	}
	return index, square
}
