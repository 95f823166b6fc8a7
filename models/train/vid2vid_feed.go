package train

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/v2v/v2v/models/engine"
)

// unfix gives the generator a new optimiser where all of it begins to learn.
func (v *Vid2Vid) unfix(step int) error {
	if v.c.FixGlobal == 0 || step != v.c.FixGlobal {
		return nil
	}
	for name, b := range v.vars {
		if strings.HasSuffix(name, ".adam_m") || strings.HasSuffix(name, ".adam_v") {
			if err := zero(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func zero(b engine.Buffer) error { return b.Write(make([]float32, b.Shape().TotalSize())) }

// rates sets what Adam needs to know of the step on the n frames from t on, its
// bias corrections included (Kingma and Ba 2015).
func (v *Vid2Vid) rates(lr float64, step, t, n int) error {
	g, d := 1.0, v.c.D.Rate
	if v.c.TTUR {
		g, d = 0.5, 2*d
	}
	every := v.c.accumulate()
	own := step
	if step >= v.c.FixGlobal {
		own -= v.c.FixGlobal
	}
	beta1, beta2 := v.c.betas()
	errs := []error{v.rate("adam", lr*g, beta1, beta2, own/every), v.rate("dadam", lr*d, beta1, beta2, step/every)}
	if v.c.late() {
		errs = append(errs, v.rate(lateAdam, lr*g, beta1, beta2, v.c.lateSteps(step)))
	}
	beta1, beta2 = v.c.temporalBetas()
	moves := (step+1)%every == 0
	for _, s := range v.time {
		if s.adam == "dadam" || !s.among(t, n) && every == 1 {
			continue
		}
		own = step / every
		if s.own {
			var err error
			own, err = v.counted(s, s.among(t, n), moves)
			errs = append(errs, err)
		}
		errs = append(errs, v.rate(s.adam, lr*v.c.D.Rate, beta1, beta2, own))
	}
	return errors.Join(errs...)
}

// counted is how many steps an optimiser has taken that counts them itself. It
// takes one where its gradients are not all nothing.
func (v *Vid2Vid) counted(s timeScale, judges, moves bool) (int, error) {
	b := v.vars[s.d.prefix+"steps"]
	n := make([]float32, b.Shape().TotalSize())
	if err := b.Read(n); err != nil {
		return 0, err
	}
	own := int(n[0])
	pending := judges
	if len(n) > 1 {
		if judges {
			n[1] = 1
		}
		pending = n[1] > 0
	}
	if moves && pending {
		n[0]++
		clear(n[1:])
	}
	return own, b.Write(n)
}

// rate sets one optimiser's, at its step from 0.
func (v *Vid2Vid) rate(adam string, lr float64, beta1, beta2 float32, step int) error {
	t := float64(step + 1)
	first := 1 / (1 - math.Pow(float64(beta1), t))
	second := 1 / math.Sqrt(1-math.Pow(float64(beta2), t))
	return v.in[adam+".h"].Write([]float32{float32(lr * first), float32(second)})
}

// control are the buffers of control picture t, one for each of its tiles.
func (v *Vid2Vid) control(t int) []engine.Buffer {
	n := v.c.Generator.Needs().Tiles()
	slot := t % (len(v.labels) / n)
	return v.labels[slot*n:][:n]
}

// upload brings frame t of every sample to the device, for place j of a chunk.
func (v *Vid2Vid) upload(batch []*Sample, t, j int) error {
	size, tiles := 3*v.c.Height*v.c.Width, v.c.Generator.Needs().Tiles()
	real := make([]byte, 0, len(batch)*size)
	for _, s := range batch {
		a, b := s.A[t], s.B[t]
		if a.W != v.c.Width || b.W != v.c.Width || b.H != v.c.Height {
			return fmt.Errorf("frame is %dx%d, training runs at %dx%d", b.W, b.H, v.c.Width, v.c.Height)
		}
		if a.H != v.c.Height*tiles {
			return fmt.Errorf("the control picture is %dx%d: the generator sees %d of %dx%d below one another", a.W, a.H, tiles, v.c.Width, v.c.Height)
		}
		real = append(real, b.Pix...)
	}
	errs := []error{v.in[nth("real", j)].Write(real), v.uploadFace(batch, t, j)}
	for tile, to := range v.control(t) {
		pix := make([]byte, 0, len(batch)*size)
		for _, s := range batch {
			pix = append(pix, s.A[t].Pix[tile*size:][:size]...)
		}
		errs = append(errs, to.Write(pix))
	}
	if err := errors.Join(errs...); err != nil || t == 0 || !v.motion {
		return err
	}
	return v.uploadFlow(batch, t, j)
}

func (v *Vid2Vid) uploadFlow(batch []*Sample, t, j int) error {
	size := v.c.Height * v.c.Width
	seen := make([]float32, 0, len(batch)*size)
	for _, s := range batch {
		if s.Flow == nil || s.Flow[t] == nil {
			return fmt.Errorf("the sample has no measured flow")
		}
		seen = append(seen, s.Visible[t]...)
	}
	errs := []error{v.in[nth("visible", j)].Write(seen)}
	for _, in := range v.flows {
		uv := make([]float32, len(batch)*size*2)
		for i, s := range batch {
			f, err := across(s, t-in.back, in.stride)
			if err != nil {
				return err
			}
			if f != nil {
				copy(uv[2*i*size:], f.U)
				copy(uv[(2*i+1)*size:], f.V)
			}
		}
		errs = append(errs, v.in[nth(in.name, j)].Write(uv))
	}
	return errors.Join(errs...)
}
