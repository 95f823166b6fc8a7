package cvio

import (
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

func TestRight(t *testing.T) {
	sd := video.Info{PixFmt: "yuv420p", BitDepth: 8, Width: 320, Height: 240}
	tests := []struct {
		name   string
		change func(*video.Info)
		reason string // empty: trusted
	}{
		{"untagged small", func(*video.Info) {}, ""},
		{"tagged 601", func(i *video.Info) { i.Height = 1080; i.Color.Matrix = "smpte170m" }, ""},
		{"full range jpeg", func(i *video.Info) { i.PixFmt, i.Color.Range = "yuvj420p", "pc" }, ""},
		{"full range by tag alone", func(i *video.Info) { i.Color.Range = "pc" }, "range is full"},
		{"grey", func(i *video.Info) { i.PixFmt, i.Color.Range, i.Height = "gray", "pc", 1080 }, ""},
		{"rgb", func(i *video.Info) { i.PixFmt, i.Color.Matrix, i.Color.Range = "bgr0", "gbr", "pc" }, ""},
		{"709", func(i *video.Info) { i.Color.Matrix = "bt709" }, "bt709"},
		{"untagged high", func(i *video.Info) { i.Height = 720 }, "BT.709"},
		{"2020", func(i *video.Info) { i.Color.Matrix = "bt2020nc" }, "bt2020nc"},
		{"PQ", func(i *video.Info) { i.Color.Transfer = "smpte2084" }, "dynamic range"},
		{"10 bit", func(i *video.Info) { i.PixFmt, i.BitDepth = "yuv420p10le", 10 }, "10 bits"},
		{"unmeasured format", func(i *video.Info) { i.PixFmt = "pal8" }, "pal8"},
		{"no format", func(i *video.Info) { i.PixFmt = "" }, "not measured"},
		{"variable", func(i *video.Info) { i.Variable = true }, "varies"},
		{"rotated", func(i *video.Info) { i.Rotation = 90 }, "rotated"},
		{"stills", func(i *video.Info) { i.Stills = true }, "folder"},
	}
	for _, tt := range tests {
		i := sd
		tt.change(&i)
		ok, reason := Right(i)
		if ok != (tt.reason == "") || !strings.Contains(reason, tt.reason) {
			t.Errorf("%s: %v %q", tt.name, ok, reason)
		}
	}
}
