//go:build cgo

package conformance

import (
	"context"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvio"
)

func init() {
	readers = append(readers, reader{
		name: "cvio",
		open: func(ctx context.Context, i video.Info) (video.Reader, error) {
			return cvio.Open(ctx, i, cvio.ReadOptions{InFlight: 2})
		},
		right: cvio.Right,
	})
}
