package train

import (
	"math"
	"slices"
	"testing"
)

// TestKMeansFindsPlantedClusters: three clouds far from each other.
func TestKMeansFindsPlantedClusters(t *testing.T) {
	rng := source(3, 0, "clouds")
	want := [][]float64{{-5, 0}, {0, 5}, {6, 6}}
	means := make([][]float64, 3)
	var points [][]float64
	for i := range 300 {
		p := []float64{want[i%3][0] + 0.3*rng.NormFloat64(), want[i%3][1] + 0.3*rng.NormFloat64()}
		points = append(points, p)
		if means[i%3] == nil {
			means[i%3] = make([]float64, 2)
		}
		means[i%3][0] += p[0] / 100
		means[i%3][1] += p[1] / 100
	}
	got := kmeans(points, 3, source(1, 0, "kmeans"))
	slices.SortFunc(got, func(a, b []float64) int { return int(math.Copysign(1, a[0]-b[0])) })
	for k := range got {
		if math.Hypot(got[k][0]-means[k][0], got[k][1]-means[k][1]) > 1e-9 {
			t.Errorf("centre %v, want %v", got[k], means[k])
		}
	}
	same := [][]float64{{1, 2}, {1, 2}, {3, 4}}
	if got := kmeans(same, 10, source(1, 0, "kmeans")); len(got) != 2 {
		t.Errorf("two points that differ gave centres %v", got)
	}
	if got := kmeans(nil, 10, source(1, 0, "kmeans")); len(got) != 0 {
		t.Errorf("no points gave centres %v", got)
	}
}
