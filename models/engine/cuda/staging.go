//go:build cgo

package cuda

/*
#include "dl.h"
*/
import "C"

import (
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// lane is one of the places that data pass on their way: pinned memory, as much
// device memory, and the events that say when each has been read.
type lane struct {
	pinned         uint64
	device         *block
	bytes          int
	arrived, taken uint64 // events
}

// staging carries data between host and card on streams of its own, so that
// they move while the card computes. Two lanes go up in turn; each caller that
// waits for data takes a lane down, so that others may give the card work.
type staging struct {
	up, down uint64 // streams
	lanes    [2]*lane
	turn     int
	idle     []*lane // for downloads
}

func (s *staging) open(d *Device) (err error) {
	if s.up, err = d.api.ask("cuStreamCreate", nonBlocking); err != nil {
		return err
	}
	if s.down, err = d.api.ask("cuStreamCreate", nonBlocking); err != nil {
		return err
	}
	for i := range s.lanes {
		if s.lanes[i], err = d.newLane(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) newLane() (l *lane, err error) {
	l = &lane{}
	if l.arrived, err = d.api.ask("cuEventCreate", noTiming); err != nil {
		return nil, err
	}
	if l.taken, err = d.api.ask("cuEventCreate", noTiming); err != nil {
		d.api.call("cuEventDestroy_v2", l.arrived)
		return nil, err
	}
	return l, nil
}

func (s *staging) close(d *Device) {
	for _, l := range append(s.idle, s.lanes[:]...) {
		if l != nil {
			d.dropLane(l)
			d.api.call("cuEventDestroy_v2", l.arrived)
			d.api.call("cuEventDestroy_v2", l.taken)
		}
	}
	for _, stream := range []uint64{s.up, s.down} {
		if stream != 0 {
			d.api.call("cuStreamDestroy_v2", stream)
		}
	}
}

func (d *Device) dropLane(l *lane) {
	if l.pinned != 0 {
		d.api.call("cuMemFreeHost", l.pinned)
	}
	d.free(l.device)
	l.pinned, l.device, l.bytes = 0, nil, 0
}

// fit makes a lane hold so many bytes, after whatever still passes it.
func (d *Device) fit(l *lane, bytes int) (err error) {
	if err := d.api.call("cuEventSynchronize", l.taken); err != nil {
		return err
	}
	if l.bytes >= bytes {
		return nil
	}
	d.dropLane(l)
	if l.device, err = d.alloc("a buffer for uploads", bytes); err != nil {
		return err
	}
	if l.pinned, err = d.api.ask("cuMemHostAlloc", uint64(bytes), 0); err != nil {
		return err
	}
	l.bytes = bytes
	return nil
}

// handOver makes one stream wait for what another has been given so far.
func (d *Device) handOver(event, from, to uint64) error {
	if err := d.api.call("cuEventRecord", event, from); err != nil {
		return err
	}
	return d.api.call("cuStreamWaitEvent", to, event, 0)
}

// upload brings bytes to a block, which computation that was asked for before
// may still be reading.
func (s *staging) upload(d *Device, to *block, shape tensor.Shape, t engine.Type, data []byte) error {
	l := s.lanes[s.turn]
	s.turn = 1 - s.turn
	if err := d.fit(l, len(data)); err != nil {
		return err
	}
	copy(unsafe.Slice((*byte)(C.v2v_at(C.uint64_t(l.pinned))), len(data)), data)
	if err := d.api.call("cuMemcpyHtoDAsync_v2", l.device.at, l.pinned, uint64(len(data)), s.up); err != nil {
		return err
	}
	if err := d.handOver(l.arrived, s.up, d.stream); err != nil {
		return err
	}
	if err := d.turn("to_inner", shape, t, l.device.at, to.at); err != nil {
		return err
	}
	return d.api.call("cuEventRecord", l.taken, d.stream)
}

// download brings a buffer's bytes to the host and waits for them, while others
// may use the device.
func (d *Device) download(b *buffer, data []byte) error {
	var l *lane
	err := d.do(func() (err error) {
		if n := len(d.staging.idle); n > 0 {
			l, d.staging.idle = d.staging.idle[n-1], d.staging.idle[:n-1]
		} else if l, err = d.newLane(); err != nil {
			return err
		}
		return d.startDownload(l, b, len(data))
	})
	if l == nil {
		return err
	}
	if err == nil {
		err = d.onThread(func() error { return d.api.call("cuEventSynchronize", l.taken) })
	}
	if err == nil {
		copy(data, unsafe.Slice((*byte)(C.v2v_at(C.uint64_t(l.pinned))), len(data)))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.staging.idle = append(d.staging.idle, l)
	return err
}

// startDownload gives the card the work of a download.
func (d *Device) startDownload(l *lane, b *buffer, bytes int) error {
	if err := d.fit(l, bytes); err != nil {
		return err
	}
	if err := d.turn("to_plain", b.shape, b.typ, b.mem.at, l.device.at); err != nil {
		return err
	}
	if err := d.handOver(l.arrived, d.stream, d.staging.down); err != nil {
		return err
	}
	if err := d.api.call("cuMemcpyDtoHAsync_v2", l.pinned, l.device.at, uint64(bytes), d.staging.down); err != nil {
		return err
	}
	return d.api.call("cuEventRecord", l.taken, d.staging.down)
}

// turn copies a value between the caller's order and the card's.
func (d *Device) turn(kernel string, shape tensor.Shape, t engine.Type, from, to uint64) error {
	n := engine.Value{Shape: shape}.Size()
	if len(shape) != 4 || t != engine.F32 || shape[1] == 1 || shape[2]*shape[3] == 1 {
		return d.api.call("cuMemcpyDtoDAsync_v2", to, from, uint64(n*t.Bytes()), d.stream)
	}
	s := flat(kernel, n, intArg(n), divisor(shape[1]), divisor(shape[2]*shape[3]), addressArg(from), addressArg(to))
	return d.launch(&s, nil)
}
