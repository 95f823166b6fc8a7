package train

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// TestRecordsAsTensorFlowWritesThem: TensorFlow's own events files begin with
// the length 24 and these four bytes of its sum.
func TestRecordsAsTensorFlowWritesThem(t *testing.T) {
	const want = "1800000000000000a37f4b22"
	if got := hex.EncodeToString(tfRecord(make([]byte, 24))[:12]); got != want {
		t.Errorf("header %s, want %s", got, want)
	}
}

func TestEventsGolden(t *testing.T) {
	dir := t.TempDir()
	e, err := createEvents(dir, 0, func() time.Time { return time.Unix(1700000000, 500000000) })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.scalars(3, []Loss{{"G", 0.5}}); err != nil {
		t.Fatal(err)
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	// Spelt out by hand from event.proto and summary.proto; the sums are checked
	// by parseEvents.
	const wall = "09" + "00002040fc54d941"
	want := []string{
		wall + "1a0d" + hex.EncodeToString([]byte("brain.Event:2")),
		wall + "1003" + "2a0a" + "0a08" + "0a0147" + "150000003f",
	}
	var got []string
	for _, m := range records(t, readEvents(t, dir)[0]) {
		got = append(got, hex.EncodeToString(m))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventsReadBack(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []int{0, 40} {
		e, err := createEvents(dir, step, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.scalars(step+1, []Loss{{"loss/G", 0.25}, {"lr", 2e-4}}); err != nil {
			t.Fatal(err)
		}
		if err := e.image(step+2, "samples", 7, 5, []byte("PNG")); err != nil {
			t.Fatal(err)
		}
		if err := e.close(); err != nil {
			t.Fatal(err)
		}
	}
	files := readEvents(t, dir)
	if len(files) != 2 {
		t.Fatalf("%d files", len(files))
	}
	for i, want := range [][]string{
		{"0 version brain.Event:2", "1 loss/G 0.25", "1 lr 0.0002", "2 samples 7x5 rgb3 PNG"},
		{"0 version brain.Event:2", "41 session 1", "41 loss/G 0.25", "41 lr 0.0002", "42 samples 7x5 rgb3 PNG"},
	} {
		var got []string
		for _, m := range records(t, files[i]) {
			got = append(got, describe(m)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("file %d:\n%s", i, diff)
		}
	}
}

// readEvents reads a folder's events files in the order TensorBoard does.
func readEvents(t *testing.T, dir string) [][]byte {
	t.Helper()
	var files [][]byte
	for _, n := range names(t, dir) {
		if !strings.Contains(n, "tfevents") {
			t.Errorf("TensorBoard would not look at %s", n)
		}
		data, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	return files
}

// records splits a file into its messages and checks both sums of each.
func records(t *testing.T, data []byte) [][]byte {
	t.Helper()
	unmask := func(b []byte) uint32 {
		r := le.Uint32(b) - 0xa282ead8
		return r>>17 | r<<15
	}
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	var out [][]byte
	for len(data) > 0 {
		n := int(le.Uint64(data))
		m := data[12:][:n]
		if unmask(data[8:]) != sum(data[:8]) || unmask(data[12+n:]) != sum(m) {
			t.Fatalf("record %d has a wrong sum", len(out))
		}
		out = append(out, m)
		data = data[16+n:]
	}
	return out
}

// fields calls each for the fields of a message; number fields come as v.
func fields(m []byte, each func(n protowire.Number, v uint64, b []byte)) {
	for len(m) > 0 {
		n, typ, k := protowire.ConsumeTag(m)
		m = m[k:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, k = protowire.ConsumeVarint(m)
		case protowire.Fixed64Type:
			v, k = protowire.ConsumeFixed64(m)
		case protowire.Fixed32Type:
			var v32 uint32
			v32, k = protowire.ConsumeFixed32(m)
			v = uint64(v32)
		case protowire.BytesType:
			b, k = protowire.ConsumeBytes(m)
		}
		each(n, v, b)
		m = m[k:]
	}
}

// describe says in words what an event holds.
func describe(m []byte) (out []string) {
	var step uint64
	fields(m, func(n protowire.Number, v uint64, b []byte) {
		switch n {
		case 2:
			step = v
		case 3:
			out = append(out, fmt.Sprintf("%d version %s", step, b))
		case 7:
			fields(b, func(_ protowire.Number, v uint64, _ []byte) { out = append(out, fmt.Sprintf("%d session %d", step, v)) })
		case 5:
			fields(b, func(_ protowire.Number, _ uint64, value []byte) {
				out = append(out, fmt.Sprintf("%d %s", step, describeValue(value)))
			})
		}
	})
	return out
}

func describeValue(m []byte) string {
	var s bytes.Buffer
	fields(m, func(n protowire.Number, v uint64, b []byte) {
		switch n {
		case 1:
			fmt.Fprintf(&s, "%s", b)
		case 2:
			fmt.Fprintf(&s, " %g", math.Float32frombits(uint32(v)))
		case 4:
			var img [4]uint64
			var png []byte
			fields(b, func(n protowire.Number, v uint64, b []byte) {
				if n == 4 {
					png = b
					return
				}
				img[n] = v
			})
			fmt.Fprintf(&s, " %dx%d rgb%d %s", img[2], img[1], img[3], png)
		}
	})
	return s.String()
}
