//go:build cgo

package cuda

import (
	"fmt"
)

// Probe lists the cards, without taking one.
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
		if cards[i], err = a.card(i); err != nil {
			return nil, fmt.Errorf("ask about cuda:%d: %w", i, err)
		}
	}
	return cards, nil
}

// card asks about one card.
func (a *api) card(i int) (Card, error) {
	d := Device{api: a}
	if err := d.about(i); err != nil {
		return Card{}, err
	}
	var c heap
	defer c.free()
	const room = 256
	name := c.bytes(room)
	if err := a.call("cuDeviceGetName", address(name), room, d.card); err != nil {
		return Card{}, err
	}
	total, err := a.ask("cuDeviceTotalMem_v2", d.card)
	if err != nil {
		return Card{}, err
	}
	card := Card{Name: text(name), OK: d.capability >= leastCapability, Total: total}
	card.About = fmt.Sprintf("%s, %s, compute capability %d.%d, driver for CUDA %s, NVRTC %s",
		card.Name, size(total), d.capability/10, d.capability%10, version(a.driver), version(a.nvrtc))
	if a.cudnn != 0 {
		card.About += fmt.Sprintf(", cuDNN %d.%d.%d", a.cudnn/10000, a.cudnn/100%100, a.cudnn%100)
	} else {
		card.About += "; without cuDNN, so own kernels convolve: " + a.lacking.Error()
	}
	if !card.OK {
		card.About += "; v2v needs 8.0 (Ampere) or later"
	}
	return card, nil
}
