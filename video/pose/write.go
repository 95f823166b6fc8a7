package pose

import (
	"bytes"
	"fmt"
	"strconv"
)

// Format is people as OpenPose writes them (--write_json, 1.3 and later), in
// pixels to a thousandth.
func Format(people []Person) []byte {
	var b bytes.Buffer
	b.WriteString(`{"version":1.3,"people":[`)
	for i, p := range people {
		if i > 0 {
			b.WriteByte(',')
		}
		for k, part := range p.parts() {
			name := [...]string{"pose", "face", "hand_left", "hand_right"}[k]
			fmt.Fprintf(&b, `%c"%s_keypoints_2d":[`, "{,,,"[k], name)
			for j, q := range part {
				for n, x := range [...]float64{q.X, q.Y, q.C} {
					if j+n > 0 {
						b.WriteByte(',')
					}
					b.Write(number(x))
				}
			}
			b.WriteByte(']')
		}
		b.WriteByte('}')
	}
	b.WriteString("]}\n")
	return b.Bytes()
}

// Text is a face as ParseLandmarks reads it, in pixels to a thousandth.
func (l *Landmarks) Text() []byte {
	var b bytes.Buffer
	for _, p := range l {
		fmt.Fprintf(&b, "%s,%s\n", number(p.X), number(p.Y))
	}
	return b.Bytes()
}

// number is x to a thousandth, without zeros at its end.
func number(x float64) []byte {
	text := strconv.AppendFloat(nil, x, 'f', 3, 64)
	return bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte("."))
}
