//go:build cgo

package cuda

import "fmt"

// Probe lists the cards and asks the optional libraries whether they take them;
// none is kept.
func Probe() ([]Card, error) {
	a, err := load()
	if err != nil {
		return nil, fmt.Errorf("open cuda: %w", err)
	}
	n, err := a.ask("cuDeviceGetCount")
	if err != nil {
		return nil, fmt.Errorf("open cuda: %w", err)
	}
	cards := make([]Card, int(uint32(n)))
	for i := range cards {
		var number uint64
		if cards[i], number, err = a.card(i); err != nil {
			return nil, fmt.Errorf("ask about cuda:%d: %w", i, err)
		}
		if cards[i].OK {
			cards[i].About += a.libraries(number)
		}
	}
	return cards, nil
}

// card asks about one card, and which number the driver gives it.
func (a *api) card(i int) (card Card, number uint64, err error) {
	d := Device{api: a}
	if err := d.about(i); err != nil {
		return Card{}, 0, err
	}
	var c heap
	defer c.free()
	const room = 256
	name := c.bytes(room)
	if err := a.call("cuDeviceGetName", address(name), room, d.card); err != nil {
		return Card{}, 0, err
	}
	total, err := a.ask("cuDeviceTotalMem_v2", d.card)
	if err != nil {
		return Card{}, 0, err
	}
	card = Card{Name: text(name), OK: d.capability >= leastCapability, Total: total}
	card.About = fmt.Sprintf("%s, %s, compute capability %d.%d, driver for CUDA %s, NVRTC %s",
		card.Name, size(total), d.capability/10, d.capability%10, version(a.driver), version(a.nvrtc))
	if !card.OK {
		card.About += "; v2v needs 8.0 (Ampere) or later"
	}
	return card, d.card, nil
}

// libraries says what the optional libraries do for a card.
func (a *api) libraries(card uint64) string {
	about := ""
	for _, l := range []struct {
		name            string
		version         int
		lacking         error
		create, destroy string
		own             string
	}{
		{cudnn.name, a.cudnn, a.lacking.cudnn, "cudnnCreate", "cudnnDestroy", "convolve"},
		{cublasLt.name, a.lt, a.lacking.lt, "cublasLtCreate", "cublasLtDestroy", "multiply"},
	} {
		if l.version == 0 {
			about += fmt.Sprintf("; without %s, so own kernels %s: %v", l.name, l.own, l.lacking)
			continue
		}
		name := fmt.Sprintf("%s %d.%d.%d", l.name, l.version/10000, l.version/100%100, l.version%100)
		if err := a.takes(card, l.create, l.destroy); err != nil {
			about += fmt.Sprintf("; %s does not take the card, so own kernels %s: %v", name, l.own, err)
			continue
		}
		about += ", " + name
	}
	return about
}

// takes asks a library for a handle on a card and gives it back.
func (a *api) takes(card uint64, create, destroy string) error {
	context, err := a.ask("cuDevicePrimaryCtxRetain", card)
	if err != nil {
		return err
	}
	defer a.call("cuDevicePrimaryCtxRelease_v2", card)
	d := Device{api: a, context: context}
	return d.onThread(func() error {
		defer a.call("cuCtxSetCurrent", 0)
		h, err := a.ask(create)
		if err != nil {
			return err
		}
		return a.call(destroy, h)
	})
}
