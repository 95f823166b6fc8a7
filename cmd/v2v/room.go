package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
)

// footprint is about what clips of a size take of a device, in bytes.
type footprint struct {
	weights int64 // of all networks, which clips share
	clip    int64 // the values of a program of one row
	first   int64 // and of the one that makes first frames
}

func (m *machine) footprint(of size) (f footprint, err error) {
	one := func(net models.Network) (int64, error) {
		params, err := models.Parameters(net)
		if err != nil {
			return 0, err
		}
		f.weights += 4 * int64(count(params))
		p, err := models.GeneratorProgram(net, 1, of.H, of.W)
		if err != nil {
			return 0, err
		}
		return int64(held(p)), nil
	}
	if f.clip, err = one(m.model.Net); err == nil && m.model.First != nil {
		f.first, err = one(m.model.First)
	}
	return f, err
}

// together is what n clips in lockstep take: beside the program of n rows stands
// that of one, which the last clip runs in.
func (m *machine) together(f footprint, n int, of size) (int64, error) {
	need := f.weights + f.clip + int64(n)*f.first
	if n == 1 {
		return need, nil
	}
	p, err := models.GeneratorProgram(m.model.Net, n, of.H, of.W)
	if err != nil {
		return 0, err
	}
	return need + int64(held(p)), nil
}

// fit is how many clips that run by themselves there is room for. Each is given
// a quarter more than its values take: a card's programs keep rounded copies,
// sums and workspaces beside them.
func (f footprint) fit(free int64) int {
	each := f.clip + f.first
	return int(max(0, free-f.weights) / (each + each/4))
}

// card is a device that has memory of its own.
type card interface{ FreeMemory() (int64, error) }

// freeMemory is what the device with the least has left, in bytes: a card's
// own, else the machine's.
func (m *machine) freeMemory() (least int64, err error) {
	for i, d := range m.devs {
		var free int64
		if c, ok := d.(card); ok {
			free, err = c.FreeMemory()
		} else {
			free, err = hostMemory()
		}
		if err != nil {
			return 0, fmt.Errorf("free memory of %s: %w", d.Name(), err)
		}
		if i == 0 || free < least {
			least = free
		}
	}
	return least, nil
}

// hostMemory is what the system can give without swapping, in bytes.
func hostMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemAvailable:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo does not tell")
}

// seat makes sure that cards hold the workers they are given, before any work
// begins: the largest clip decides how many there are room for. Where there is
// room for none, one says what it lacks.
func (o *batchOptions) seat(ctx context.Context, a *app, m *machine, plan *jobs.Plan) error {
	if _, ok := m.devs[0].(card); !ok || o.lockstep != 0 || o.workers == 1 {
		return nil
	}
	sizes, err := o.sizes(ctx, plan)
	if err != nil {
		return err
	}
	var worst size
	for _, s := range sizes {
		if s.H*s.W > worst.H*worst.W {
			worst = s
		}
	}
	if worst == (size{}) {
		return nil // no clip opens
	}
	f, err := m.footprint(worst)
	if err != nil {
		return err
	}
	rooms, about, err := f.rooms(m.devs)
	if err != nil {
		return fmt.Errorf("--workers %d: %w", o.workers, err)
	}
	work := min(o.workers, len(sizes))
	if m.seats = seats(work, rooms); len(m.seats) < work {
		a.say("--workers %d: %s", o.workers, about)
	}
	o.workers = len(m.seats)
	return nil
}

// rooms is how many workers fit each card, and what to say of it.
func (f footprint) rooms(devs []engine.Device) (rooms []int, about string, err error) {
	var say []string
	for _, d := range devs {
		free, err := d.(card).FreeMemory()
		if err != nil {
			return nil, "", fmt.Errorf("free memory of %s: %w", d.Name(), err)
		}
		n, verb := f.fit(free), "fit"
		if n == 1 {
			verb = "fits"
		}
		rooms = append(rooms, n)
		say = append(say, fmt.Sprintf("%d %s the %d MB free on %s", n, verb, free>>20, d.Name()))
	}
	return rooms, strings.Join(say, ", "), nil
}

// seats gives each worker a card with room, the emptiest first; by worker, the
// card's place. There is one worker at least.
func seats(workers int, rooms []int) (seats []int) {
	taken := make([]int, len(rooms))
	for range workers {
		best := -1
		for i := range rooms {
			if taken[i] < rooms[i] && (best < 0 || taken[i] < taken[best]) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		taken[best]++
		seats = append(seats, best)
	}
	if len(seats) == 0 {
		return []int{0}
	}
	return seats
}
