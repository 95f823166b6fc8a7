package pose

import (
	"math"
)

// least is the confidence from which a joint counts as found: OpenPose's own
// default for drawing bodies.
const least = 0.05

// Follower picks one person out of each frame of a clip, the same one as long
// as it can be seen: the one that is nearest to the last pick among those that
// are at least half as sure as the surest. Where there was none, or it is
// farther away than it was tall, the surest person is taken: the one whose
// joints have the greatest sum of confidences. The published systems take the
// first, the tallest or all of them frame by frame, and jump between people.
// The zero value begins a clip.
type Follower struct{ last *Person }

// Pick returns the person of the next frame, nil where there is none.
func (f *Follower) Pick(people []Person) *Person {
	var surest *Person
	for i := range people {
		if p := &people[i]; surest == nil || p.sureness() > surest.sureness() {
			surest = p
		}
	}
	if surest == nil || surest.sureness() == 0 {
		return surest // a face or hands without a body cannot be followed
	}
	pick := surest
	if f.last != nil {
		near := f.last.height()
		for i := range people {
			p := &people[i]
			if d := f.last.distance(p); d < near && p.sureness() >= surest.sureness()/2 {
				pick, near = p, d
			}
		}
	}
	kept := *pick
	f.last = &kept
	return pick
}

// sureness is the sum of the confidences of the joints that were found.
func (p *Person) sureness() float64 {
	sum := 0.0
	for _, q := range p.Body {
		if q.C > least {
			sum += q.C
		}
	}
	return sum
}

// height is how far the joints that were found reach, the longer way.
func (p *Person) height() float64 {
	low, high := Point{X: math.Inf(1), Y: math.Inf(1)}, Point{X: math.Inf(-1), Y: math.Inf(-1)}
	for _, q := range p.Body {
		if q.C > least {
			low.X, low.Y = min(low.X, q.X), min(low.Y, q.Y)
			high.X, high.Y = max(high.X, q.X), max(high.Y, q.Y)
		}
	}
	return max(high.X-low.X, high.Y-low.Y)
}

// distance is the mean distance of the joints that both have, infinite where
// there are none.
func (p *Person) distance(other *Person) float64 {
	sum, n := 0.0, 0
	for i, q := range p.Body {
		if o := other.Body[i]; q.C > least && o.C > least {
			sum += math.Hypot(q.X-o.X, q.Y-o.Y)
			n++
		}
	}
	if n == 0 {
		return math.Inf(1)
	}
	return sum / float64(n)
}
