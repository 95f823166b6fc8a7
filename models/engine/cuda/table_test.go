//go:build cgo

package cuda_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
)

// with compiles a program and binds random numbers to it for a call of f.
func with(d engine.Device, p *engine.Program, precision engine.Precision, f func(engine.Executable) error) error {
	rng := rand.New(rand.NewPCG(1, 2))
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: constants()})
	if err != nil {
		return err
	}
	var buffers []engine.Buffer
	err = func() error {
		for _, v := range p.Values {
			if v.Role != engine.Input {
				continue
			}
			b, err := d.Alloc(v.Shape, v.Type)
			if err != nil {
				return err
			}
			buffers = append(buffers, b)
			if err := errors.Join(randomise(b, rng), e.Bind(v.Name, b)); err != nil {
				return err
			}
		}
		return f(e)
	}()
	for _, b := range buffers {
		err = errors.Join(err, b.Close())
	}
	return errors.Join(err, e.Close())
}

// constants fills weights with noise, which repeats: a network has hundreds of
// millions.
func constants() func(string, []float32) error {
	rng := rand.New(rand.NewPCG(1, 2))
	some := make([]float32, 1<<16-1)
	for i := range some {
		some[i] = float32(rng.NormFloat64()) * 0.02
	}
	return func(_ string, dst []float32) error {
		for n := copy(dst, some[rng.IntN(len(some)):]); n < len(dst); {
			n += copy(dst[n:], some)
		}
		return nil
	}
}

// clock is the median of rounds, each of several runs that are waited for.
func clock(d engine.Device, e engine.Executable, rounds, runs int) (float64, error) {
	round := func() (float64, error) {
		began := time.Now()
		for range runs {
			if err := e.Run(); err != nil {
				return 0, err
			}
		}
		err := cuda.Wait(d)
		return time.Since(began).Seconds() * 1e3 / float64(runs), err
	}
	if _, err := round(); err != nil { // captures the graph
		return 0, err
	}
	return middle(rounds, round)
}

// middle is the median of what f gives in so many rounds.
func middle(rounds int, f func() (float64, error)) (float64, error) {
	var all []float64
	for range rounds {
		x, err := f()
		if err != nil {
			return 0, err
		}
		all = append(all, x)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// randomise fills a buffer: zeros would run faster than pictures do.
func randomise(b engine.Buffer, rng *rand.Rand) error {
	n := engine.Value{Shape: b.Shape()}.Size()
	if b.Type() == engine.U8 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		return b.Write(data)
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(rng.NormFloat64())
	}
	return b.Write(data)
}
