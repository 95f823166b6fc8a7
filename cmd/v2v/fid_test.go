package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// frechetInNumpy takes the square root of the product of covariances by its
// eigenvalues.
const frechetInNumpy = `
import json, sys, numpy
a, b = (numpy.array(x) for x in json.load(sys.stdin))
ca, cb = numpy.atleast_2d(numpy.cov(a.T)), numpy.atleast_2d(numpy.cov(b.T))
roots = numpy.sqrt(numpy.maximum(numpy.linalg.eigvals(ca @ cb).real, 0))
print(((a.mean(0) - b.mean(0)) ** 2).sum() + numpy.trace(ca) + numpy.trace(cb) - 2 * roots.sum())
`

// TestFrechetEqualsNumpy with more rows than features and with fewer.
func TestFrechetEqualsNumpy(t *testing.T) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil || exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("python3 with numpy is missing")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(n, width int, shift float64) (rows [][]float64) {
		for range n {
			r := make([]float64, width)
			for i := range r {
				r[i] = rng.NormFloat64()*(1+0.3*float64(i%3)) + shift + 0.5*r[max(0, i-1)]
			}
			rows = append(rows, r)
		}
		return rows
	}
	for _, c := range [][3]int{{50, 40, 6}, {9, 12, 20}, {30, 30, 1}} {
		a, b := draw(c[0], c[2], 0), draw(c[1], c[2], 0.7)
		text, err := json.Marshal([][][]float64{a, b})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, "-c", frechetInNumpy)
		cmd.Stdin = strings.NewReader(string(text))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var want float64
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatal(err)
		}
		got, err := frechet(a, b)
		// numpy's eigenvalues that should be zero are as large as its rounding,
		// and their roots as that of it.
		if err != nil || math.Abs(got-want) > 1e-4*math.Max(1, want) {
			t.Errorf("%v: %v, numpy says %v (%v)", c, got, want, err)
		}
		if same, err := frechet(a, a); err != nil || same > 1e-9 {
			t.Errorf("%v: the distance to itself is %v (%v)", c, same, err)
		}
	}
}
