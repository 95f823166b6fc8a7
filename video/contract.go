package video

import (
	"context"
	"errors"
)

// ErrDamaged is wrapped by a Reader's last error when the clip broke off or
// decoded with errors: the frames handed out before it are all there are.
var ErrDamaged = errors.New("damaged clip")

// ErrNoFrames is wrapped when a clip opens but holds no picture at all.
var ErrNoFrames = errors.New("no frames")

// Reader decodes one clip, first frame to last.
type Reader interface {
	// Info describes the clip. It does not change while reading.
	Info() Info
	// Next returns the next frame, owned by the caller, io.EOF after the last
	// one of a sound clip, or an error wrapping ErrDamaged after the last
	// frame of a damaged one.
	Next(ctx context.Context) (*Frame, error)
	// Close frees the decoder. It may be called at any time, once.
	Close() error
}

// Writer encodes one clip. Nothing stands under the final name until Commit
// has returned nil.
type Writer interface {
	// Write encodes one frame. The frame stays the caller's.
	Write(ctx context.Context, f *Frame) error
	// Commit finishes the encoding, checks that what was written is whole and
	// moves it to its final name.
	Commit(ctx context.Context) error
	// Close frees everything. Without a successful Commit before it, nothing
	// is left behind.
	Close() error
}
