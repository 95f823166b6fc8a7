package ffio

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/at-wat/ebml-go"

	"github.com/v2v/v2v/video"
)

// nanosecond is the tick of the pipe to the encoder: finer than any container's,
// so that rounding to the output's clock restores the exact time.
const nanosecond = 1_000_000_000

// mkvHeader is Matroska up to the first cluster. Raw pictures with a time each
// fit in no simpler stream: a bare raw pipe has no clock.
type mkvHeader struct {
	Header struct {
		DocType            string `ebml:"EBMLDocType"`
		DocTypeVersion     uint64 `ebml:"EBMLDocTypeVersion"`
		DocTypeReadVersion uint64 `ebml:"EBMLDocTypeReadVersion"`
	} `ebml:"EBML"`
	Segment struct {
		Info struct {
			TimecodeScale uint64 `ebml:"TimecodeScale"`
			MuxingApp     string `ebml:"MuxingApp"`
			WritingApp    string `ebml:"WritingApp"`
		} `ebml:"Info"`
		Tracks struct {
			Entry mkvTrack `ebml:"TrackEntry"`
		} `ebml:"Tracks"`
	} `ebml:"Segment,size=unknown"`
}

type mkvTrack struct {
	Number   uint64 `ebml:"TrackNumber"`
	UID      uint64 `ebml:"TrackUID"`
	Type     uint64 `ebml:"TrackType"`
	Lacing   uint64 `ebml:"FlagLacing"`
	Duration uint64 `ebml:"DefaultDuration"`
	Codec    string `ebml:"CodecID"`
	Video    struct {
		Width  uint64 `ebml:"PixelWidth"`
		Height uint64 `ebml:"PixelHeight"`
		Space  []byte `ebml:"ColourSpace"`
	} `ebml:"Video"`
}

// writeMKVHeader begins a stream of w x h pictures of packed RGB.
func writeMKVHeader(out io.Writer, w, h int, rate video.Rational) error {
	var m mkvHeader
	m.Header.DocType, m.Header.DocTypeVersion, m.Header.DocTypeReadVersion = "matroska", 4, 2
	m.Segment.Info.TimecodeScale = 1
	m.Segment.Info.MuxingApp, m.Segment.Info.WritingApp = "v2v", "v2v"
	t := &m.Segment.Tracks.Entry
	t.Number, t.UID, t.Type = 1, 1, 1
	t.Duration = uint64(rescale(nanosecond, rate.Den, rate.Num))
	t.Codec = "V_UNCOMPRESSED"
	t.Video.Width, t.Video.Height = uint64(w), uint64(h)
	t.Video.Space = []byte("RGB\x18") // ffmpeg's code for packed RGB from the top down
	if err := ebml.Marshal(&m, out); err != nil {
		return fmt.Errorf("write stream header: %w", err)
	}
	return nil
}

// mkvCluster is what stands before the pixels of one frame: a cluster of its own
// for each, because only a cluster's time has 64 bits.
func mkvCluster(ns int64, pixels int) []byte {
	const timecode, block = 2 + 8, 1 + 8 + 4 // their bytes before the pixels
	b := make([]byte, 0, 4+8+timecode+block)
	b = append(b, 0x1F, 0x43, 0xB6, 0x75) // Cluster
	b = appendSize(b, timecode+block+pixels)
	b = append(b, 0xE7, 0x88) // Timecode, 8 bytes
	b = binary.BigEndian.AppendUint64(b, uint64(ns))
	b = append(b, 0xA3) // SimpleBlock
	b = appendSize(b, 4+pixels)
	return append(b, 0x81, 0, 0, 0x80) // track 1, relative time 0, keyframe
}

// appendSize writes an element's size in eight bytes.
func appendSize(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(b, 1<<56|uint64(n))
}
