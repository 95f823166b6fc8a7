//go:build !cgo

package cvio

import (
	"context"
	"errors"

	"github.com/v2v/v2v/video"
)

var errNoCgo = errors.New("this program was built without OpenCV: build it with CGO_ENABLED=1 and Debian's package libopencv-dev, or use ffmpeg")

// Open needs OpenCV.
func Open(context.Context, video.Info, ReadOptions) (video.Reader, error) { return nil, errNoCgo }

// Create needs OpenCV.
func Create(context.Context, string, WriteOptions) (video.Writer, error) { return nil, errNoCgo }

// Notes says what Create loses.
func Notes(WriteOptions) []string { return nil }
