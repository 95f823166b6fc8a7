package train

import (
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of tensorflow/core/util/event.proto and
// tensorflow/core/framework/summary.proto, as far as they are written here.
const (
	eventWallTime    protowire.Number = 1 // double
	eventStep        protowire.Number = 2 // int64
	eventFileVersion protowire.Number = 3 // string
	eventSummary     protowire.Number = 5 // Summary
	eventSessionLog  protowire.Number = 7 // SessionLog

	sessionStatus protowire.Number = 1 // enum
	sessionStart                   = 1

	summaryValue protowire.Number = 1 // repeated Value
	valueTag     protowire.Number = 1 // string
	valueSimple  protowire.Number = 2 // float
	valueImage   protowire.Number = 4 // Image

	imageHeight     protowire.Number = 1 // int32
	imageWidth      protowire.Number = 2 // int32
	imageColorspace protowire.Number = 3 // int32, 3 for RGB
	imageEncoded    protowire.Number = 4 // bytes
	rgb                              = 3
)

// tfEvents writes a TensorBoard events file: TFRecords of Event messages, each
// in one write, so that a killed process leaves at most one torn record, where
// TensorBoard stops reading.
type tfEvents struct {
	file *os.File
	now  func() time.Time
}

// createEvents starts a new file in dir. After a resume at step > 0 it tells
// TensorBoard to forget what earlier files hold beyond that step.
func createEvents(dir string, step int, now func() time.Time) (*tfEvents, error) {
	at := now()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := fmt.Sprintf("events.out.tfevents.%d.%s.%d.v2v", at.Unix(), host, at.UnixNano())
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create TensorBoard events: %w", err)
	}
	t := &tfEvents{file, now}
	err = t.write(0, bytesField(nil, eventFileVersion, []byte("brain.Event:2")))
	if err == nil && step > 0 {
		err = t.write(step+1, bytesField(nil, eventSessionLog, varintField(nil, sessionStatus, sessionStart)))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return t, nil
}

// scalars writes the numbers of one step.
func (t *tfEvents) scalars(step int, values []Loss) error {
	var sum []byte
	for _, v := range values {
		m := bytesField(nil, valueTag, []byte(v.Name))
		m = protowire.AppendTag(m, valueSimple, protowire.Fixed32Type)
		m = protowire.AppendFixed32(m, math.Float32bits(float32(v.Value)))
		sum = bytesField(sum, summaryValue, m)
	}
	return t.write(step, bytesField(nil, eventSummary, sum))
}

// image writes a PNG picture of that size.
func (t *tfEvents) image(step int, tag string, w, h int, png []byte) error {
	img := varintField(nil, imageHeight, uint64(h))
	img = varintField(img, imageWidth, uint64(w))
	img = varintField(img, imageColorspace, rgb)
	img = bytesField(img, imageEncoded, png)
	m := bytesField(nil, valueTag, []byte(tag))
	m = bytesField(m, valueImage, img)
	return t.write(step, bytesField(nil, eventSummary, bytesField(nil, summaryValue, m)))
}

func (t *tfEvents) write(step int, what []byte) error {
	m := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	m = protowire.AppendFixed64(m, math.Float64bits(float64(t.now().UnixNano())/1e9))
	if step > 0 {
		m = varintField(m, eventStep, uint64(step))
	}
	if _, err := t.file.Write(tfRecord(append(m, what...))); err != nil {
		return fmt.Errorf("write TensorBoard events: %w", err)
	}
	return nil
}

func (t *tfEvents) close() error { return t.file.Close() }

func varintField(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func bytesField(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

// tfRecord frames a message: its length and the length's sum, the message and
// its sum, all little endian.
func tfRecord(m []byte) []byte {
	b := le.AppendUint64(nil, uint64(len(m)))
	b = le.AppendUint32(b, maskedSum(b))
	b = append(b, m...)
	return le.AppendUint32(b, maskedSum(m))
}

// maskedSum is TFRecord's checksum: CRC-32C, rotated and shifted, since data
// that hold their own CRC make CRCs of CRCs weak.
func maskedSum(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}
