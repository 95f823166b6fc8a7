package pose

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// LandmarkPoints is how many landmarks dlib's predictor finds.
const LandmarkPoints = 68

// Landmarks are those of one face, in dlib's order: the jaw from the picture's
// left to its right, brows, nose, eyes, outer and inner lips. C is 1.
type Landmarks [LandmarkPoints]Point

// ErrLandmarks is wrapped where a file does not hold the landmarks of a face.
var ErrLandmarks = errors.New("not a file of 68 landmarks")

// ReadLandmarks reads the text file of one frame.
func ReadLandmarks(path string) (*Landmarks, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read landmarks: %w", err)
	}
	l, err := ParseLandmarks(b)
	if err != nil {
		return nil, fmt.Errorf("read landmarks %q: %w", path, err)
	}
	return l, nil
}

// ParseLandmarks reads 68 lines of x and y, with a comma or blanks between
// them. Empty lines and lines that begin with # are passed over.
func ParseLandmarks(b []byte) (*Landmarks, error) {
	var l Landmarks
	n, line := 0, 0
	for text := range strings.Lines(string(b)) {
		line++
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		p, err := landmark(text)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrLandmarks, line, err)
		}
		if n < LandmarkPoints {
			l[n] = p
		}
		n++
	}
	if n != LandmarkPoints {
		return nil, fmt.Errorf("%w: it has %d points", ErrLandmarks, n)
	}
	return &l, nil
}

func landmark(text string) (Point, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(words) != 2 || strings.Count(text, ",") > 1 {
		return Point{}, fmt.Errorf("%.40q: want x,y", text)
	}
	x, errX := strconv.ParseFloat(words[0], 64)
	y, errY := strconv.ParseFloat(words[1], 64)
	if errX != nil || errY != nil || !(math.Abs(x) <= farthest && math.Abs(y) <= farthest) {
		return Point{}, fmt.Errorf("%.40q: want x,y in pixels", text)
	}
	return Point{x, y, 1}, nil
}

// Scale takes a face from a picture of w x h pixels to one of toW x toH.
func (l *Landmarks) Scale(w, h, toW, toH int) {
	for i, p := range l {
		l[i].X, l[i].Y = scaled(p.X, w, toW), scaled(p.Y, h, toH)
	}
}
