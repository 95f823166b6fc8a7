package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// Regression trains a network that makes pictures of learned codes: network and
// codes descend together along the error of what is made of each training
// image's code (Bojanowski et al. 2018). There is no adversary. A step is one
// batch.
type Regression struct {
	*atelier
	c            RegressionConfig
	p            Pictures
	step, render *step
}

// NewRegression builds the training step and compiles it. The device stays the
// caller's.
func NewRegression(dev engine.Device, p Pictures, c RegressionConfig) (*Regression, error) {
	if err := errors.Join(c.Validate(), p.check()); err != nil {
		return nil, err
	}
	if !p.Net.Learned() || p.Net.Options().Images < 1 {
		return nil, errors.New("the network has no codes to learn: train it as a GAN")
	}
	r := &Regression{c: c, p: p, atelier: newAtelier(dev, isPictureModel)}
	if err := r.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the training step: %w", err), r.Close())
	}
	return r, nil
}

// isPictureModel tells weights from the optimisers' moments.
func isPictureModel(name string) bool {
	return isModel(name) && !isDirection(name)
}

// codesAdam names the optimiser of the codes, which have a rate of their own.
const codesAdam = "codes_adam"

func (r *Regression) build() error {
	o := r.p.Net.Options()
	g := newPictureGraph()
	b := g.b
	real := b.FromBytes(b.InputBytes("real", r.p.Batch, o.Size, o.Size, 3), o.Size, o.Size, o.Channels == 1)
	codes := b.Codes(b.Input("index", r.p.Batch), models.CodeTable, o.Images, o.Code)
	made := r.p.Net.Build(b, models.Codes{Code: codes})
	if r.c.Loss == "l1" {
		g.terms.add("L1", 1, b.L1(made, real))
	} else {
		g.terms.add("L2", 1, b.MSE(b.Sub(made, real), 0))
	}
	params := b.Params() // the table first
	if b.Err() == nil {
		grads := b.Grad(g.terms.total(), params)
		beta := nn.AdamOptions{Beta1: r.c.Beta1, Beta2: r.c.Beta2}
		if b.Err() == nil {
			g.descend(params[1:], grads[1:], beta, "norm")
			beta.Name = codesAdam
			g.descend(params[:1], grads[:1], beta, "")
		}
	}
	var err error
	if r.step, err = r.add(g, nil); err != nil {
		return err
	}
	g = newPictureGraph()
	g.output("made", r.p.Net.Build(g.b, models.Codes{Code: g.b.Input("code", r.p.Batch, o.Code, 1, 1)}))
	if r.render, err = r.add(g, nil); err != nil {
		return err
	}
	return r.initialise(r.p.Seed)
}

// Steps implements Trainer.
func (*Regression) Steps(int) int { return 1 }

// State implements Trainer.
func (r *Regression) State() []State { return r.state }

// Close implements Trainer.
func (r *Regression) Close() error { return r.close() }

// Train implements Trainer.
func (r *Regression) Train(ctx context.Context, batch []*Sample, rates Rates, report func([]Loss) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	index := make([]float32, len(batch))
	for i, s := range batch {
		n, _ := r.p.Index(s)
		index[i] = float32(n)
	}
	err := errors.Join(
		r.uploadReal(batch, r.p.Net.Options().Size, r.p.Batch),
		r.write("index", index),
		r.rates("adam", rates.LR, r.c.Beta1, r.c.Beta2, rates.Step),
		r.rates(codesAdam, rates.LR*r.c.CodeRate, r.c.Beta1, r.c.Beta2, rates.Step))
	if err != nil {
		return err
	}
	if err := r.step.exe.Run(); err != nil {
		return err
	}
	losses, err := r.step.read(nil)
	if err != nil {
		return err
	}
	lengths(losses)
	return report(losses)
}

// shownPictures is how many pictures a row of a sample sheet has beside the real
// one: as many as a screen is wide.
const shownPictures = 8

// Render implements Trainer: the real picture, what is made of its code, and
// pictures of drawn codes.
func (r *Regression) Render(ctx context.Context, s *Sample) ([]Picture, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	o := r.p.Net.Options()
	table, err := readAll(r.vars[models.CodeTable+".weight"])
	if err != nil {
		return nil, err
	}
	var rows [][]float32
	for ; len(table) > 0; table = table[o.Code:] {
		rows = append(rows, table[:o.Code:o.Code])
	}
	own, _ := r.p.Index(s)
	codes := append([]float32{}, rows[own]...)
	for i, c := range models.DrawCodes(rows, o.Code, r.p.Batch-1, r.p.Seed+uint64(own)) {
		if i >= shownPictures-1 { // the others keep the batch's statistics those of training
			c = rows[(own+i)%len(rows)]
		}
		codes = append(codes, c...)
	}
	if err := r.write("code", codes); err != nil {
		return nil, err
	}
	frames, err := made(r.render, o, r.p.Batch)
	if err != nil {
		return nil, err
	}
	pictures := []Picture{{"real", s.B[0]}}
	for i, f := range frames {
		label := "drawn"
		if i == 0 {
			label = "made"
		}
		pictures = append(pictures, Picture{label, f})
	}
	return pictures, nil
}
