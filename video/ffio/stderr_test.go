package ffio

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestStderrLog(t *testing.T) {
	tests := []struct {
		name, in, cause string
		errors          int
		full            bool
	}{
		{"silent", "", "", 0, false},
		{"first error wins", "[warning] hm\n[h264 @ 0x55] [error] bad MB\n[error] later\n", "bad MB", 2, false},
		{"benign", "[rawvideo @ 0x5] [error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 2 >= 2\n[error] real\n", "real", 1, false},
		{"no level", "Killed\n", "Killed", 0, false},
		{"no newline", "[fatal] gone", "gone", 0, false},
		{"progress", "frame=1\rframe=2\r[error] x\n", "x", 1, false},
		{"full disk", "[out @ 0x1] [error] Error writing: No space left on device\n", "Error writing: No space left on device", 1, true},
		{"x265 speaks for itself", "x265 [info]: HEVC encoder\n", "x265 [info]: HEVC encoder", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l stderrLog
			for _, b := range []byte(tt.in) { // in the smallest pieces
				l.Write([]byte{b})
			}
			n, _ := l.broken()
			if l.cause() != tt.cause || n != tt.errors || l.full() != tt.full {
				t.Errorf("cause %q, %d errors, full %v", l.cause(), n, l.full())
			}
		})
	}
}

func TestStderrLogBounded(t *testing.T) {
	var l stderrLog
	io.WriteString(&l, strings.Repeat("x", 10*keepBytes)+"\n")
	for i := range 1000 {
		fmt.Fprintf(&l, "line %d\n", i)
	}
	if len(l.last) != keepLines || l.last[keepLines-1] != "line 999" || cap(l.part) > 2*keepBytes {
		t.Errorf("keeps %d lines, %d bytes", len(l.last), cap(l.part))
	}
}
