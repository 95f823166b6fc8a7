package train

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// unfix gives the generator a new optimiser where all of it begins to learn.
func (v *Vid2Vid) unfix(step int) error {
	if v.c.FixGlobal == 0 || step != v.c.FixGlobal {
		return nil
	}
	for name, b := range v.vars {
		if strings.HasSuffix(name, ".adam_m") || strings.HasSuffix(name, ".adam_v") {
			if err := b.Write(make([]float32, b.Shape().TotalSize())); err != nil {
				return err
			}
		}
	}
	return nil
}

// rates sets what Adam needs to know of the step, its bias corrections
// included (Kingma and Ba 2015).
func (v *Vid2Vid) rates(lr float64, step, frame int) error {
	g, d := 1.0, v.c.D.Rate
	if v.c.TTUR {
		g, d = 0.5, 2*d
	}
	own := step
	if step >= v.c.FixGlobal {
		own -= v.c.FixGlobal
	}
	beta1, beta2 := v.c.betas()
	errs := []error{v.rate("adam", lr*g, beta1, beta2, own), v.rate("dadam", lr*d, beta1, beta2, step)}
	beta1, beta2 = v.c.temporalBetas()
	for _, t := range v.time {
		if t.adam == "dadam" || !t.at(frame) {
			continue
		}
		if own = step; t.own {
			n := []float32{0}
			errs = append(errs, v.vars[t.d.prefix+"steps"].Read(n))
			own = int(n[0])
			errs = append(errs, v.vars[t.d.prefix+"steps"].Write([]float32{n[0] + 1}))
		}
		errs = append(errs, v.rate(t.adam, lr*v.c.D.Rate, beta1, beta2, own))
	}
	return errors.Join(errs...)
}

// rate sets one optimiser's, at its step from 0.
func (v *Vid2Vid) rate(adam string, lr float64, beta1, beta2 float32, step int) error {
	t := float64(step + 1)
	first := 1 / (1 - math.Pow(float64(beta1), t))
	second := 1 / math.Sqrt(1-math.Pow(float64(beta2), t))
	return v.in[adam+".h"].Write([]float32{float32(lr * first), float32(second)})
}

// upload brings frame t of every sample to the device.
func (v *Vid2Vid) upload(batch []*Sample, t int) error {
	size := v.c.Height * v.c.Width
	a, b := make([]byte, 0, len(batch)*size*3), make([]byte, 0, len(batch)*size*3)
	for _, s := range batch {
		if s.A[t].W != v.c.Width || s.A[t].H != v.c.Height {
			return fmt.Errorf("frame is %dx%d, training runs at %dx%d", s.A[t].W, s.A[t].H, v.c.Width, v.c.Height)
		}
		a, b = append(a, s.A[t].Pix...), append(b, s.B[t].Pix...)
	}
	err := errors.Join(v.labels[t%len(v.labels)].Write(a), v.in["real"].Write(b))
	if err != nil || t == 0 || !v.motion {
		return err
	}
	return v.uploadFlow(batch, t)
}

func (v *Vid2Vid) uploadFlow(batch []*Sample, t int) error {
	size := v.c.Height * v.c.Width
	seen := make([]float32, 0, len(batch)*size)
	for _, s := range batch {
		if s.Flow == nil || s.Flow[t] == nil {
			return fmt.Errorf("the sample has no measured flow")
		}
		seen = append(seen, s.Visible[t]...)
	}
	errs := []error{v.in["visible"].Write(seen)}
	for _, in := range v.flows {
		uv := make([]float32, len(batch)*size*2)
		for i, s := range batch {
			f, err := chained(s, t-in.back, in.stride)
			if err != nil {
				return err
			}
			if f != nil {
				copy(uv[2*i*size:], f.U)
				copy(uv[(2*i+1)*size:], f.V)
			}
		}
		errs = append(errs, v.in[in.name].Write(uv))
	}
	return errors.Join(errs...)
}
