// Package devices opens a compute device by the name a user gives. It is the
// only importer of the devices themselves.
package devices

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/ref"
)

// Options for Open.
type Options struct {
	// Threads that the cpu device computes with; 0 takes every processor.
	Threads int
	// Notice, where it is set, is told in a line what makes the first use of a card
	// take longer; it may be called from any goroutine, once for each card.
	Notice func(string)
}

// Open returns the device called name: "cuda:0" (an NVIDIA card), "cpu"
// (oneDNN), "ref" (plain Go), or "auto", the fastest that this build and machine
// have. "cuda" is the first card.
func Open(name string, o Options) (engine.Device, error) {
	switch name {
	case "", "auto":
		d, err := openCard(0, o)
		if errors.Is(err, engine.ErrUnsupported) {
			d, err = openCPU(o)
		}
		if errors.Is(err, engine.ErrUnsupported) {
			return ref.Open(), nil
		}
		if errors.Is(err, ErrCard) {
			err = cardError{fmt.Errorf("%w; --device cpu computes on the processor", err)}
		}
		return d, err
	case "cpu":
		return openCPU(o)
	case "ref":
		return ref.Open(), nil
	case "cuda":
		name = "cuda:0"
	}
	cards, err := cardsOf(name)
	if err != nil {
		return nil, err
	}
	if len(cards) > 1 {
		return nil, fmt.Errorf("device %q names %d cards: only a batch spreads over several", name, len(cards))
	}
	return openCard(cards[0], o)
}

// ErrCard is what errors of a card that is there and does not serve are.
var ErrCard = errors.New("card")

type cardError struct{ error }

func (e cardError) Unwrap() error        { return e.error }
func (e cardError) Is(target error) bool { return target == ErrCard }

// openCard opens a card.
func openCard(n int, o Options) (engine.Device, error) {
	d, err := cuda.Open(cuda.Options{Card: n, Notice: o.Notice})
	if err != nil {
		return nil, cardError{err}
	}
	return d, nil
}

// openCPU keeps a nil device from becoming an interface that is not nil.
func openCPU(o Options) (engine.Device, error) {
	d, err := cpu.Open(cpu.Options{Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// OpenAll returns every device that a name stands for: the cards of a list,
// "cuda:0,cuda:1", or of the machine, "cuda"; else what Open does.
func OpenAll(name string, o Options) (all []engine.Device, err error) {
	var cards []int
	switch {
	case name == "cuda":
		found, err := cuda.Probe()
		if err != nil {
			return nil, cardError{err}
		}
		for i, c := range found {
			if c.OK {
				cards = append(cards, i)
			}
		}
		if len(cards) == 0 {
			cards = []int{0} // whose error says what is wrong with it
		}
	case strings.HasPrefix(name, "cuda:"):
		if cards, err = cardsOf(name); err != nil {
			return nil, err
		}
	default:
		d, err := Open(name, o)
		return []engine.Device{d}, err
	}
	for _, c := range cards {
		d, err := openCard(c, o)
		if err != nil {
			for _, d := range all {
				err = errors.Join(err, d.Close())
			}
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// cardsOf reads a list of cards.
func cardsOf(name string) (cards []int, err error) {
	for _, part := range strings.Split(name, ",") {
		number, isCard := strings.CutPrefix(part, "cuda:")
		n, err := strconv.Atoi(number)
		if !isCard || err != nil || n < 0 {
			return nil, fmt.Errorf("device %q is none of auto, cpu, ref, cuda, cuda:0 (or another number, or a list of such)", name)
		}
		if slices.Contains(cards, n) {
			return nil, fmt.Errorf("device %q names card %d twice", name, n)
		}
		cards = append(cards, n)
	}
	return cards, nil
}

// Description is what `v2v devices` says of one device.
type Description struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	About string `json:"about"` // what it runs on, or why it does not
}

// List describes every device, usable or not.
func List() []Description {
	c := Description{Name: "cpu", OK: true, About: fmt.Sprintf("oneDNN, %d threads", runtime.GOMAXPROCS(0))}
	d, err := cpu.Open(cpu.Options{})
	if err != nil {
		c.OK, c.About = false, err.Error()
	} else if err := d.Close(); err != nil {
		c.OK, c.About = false, err.Error()
	}
	return append(cards(), c, Description{Name: "ref", OK: true, About: "plain Go, the reference; slow"})
}

// cards describes each card, or why there is none.
func cards() []Description {
	found, err := cuda.Probe()
	if err == nil && len(found) == 0 {
		err = errors.New("the driver sees no card")
	}
	if err != nil {
		return []Description{{Name: "cuda", About: err.Error()}}
	}
	var all []Description
	for i, c := range found {
		all = append(all, Description{Name: fmt.Sprintf("cuda:%d", i), OK: c.OK, About: c.About})
	}
	return all
}
