package engine

import "sort"

// Span is a block of memory that is needed from instruction First to
// instruction Last, both included.
type Span struct {
	First, Last int
	Bytes       int
}

// Pack places spans in one arena so that no two that live at the same time
// overlap, largest first into the lowest gap (Pisarchyk and Lee 2020, greedy
// by size). It returns each span's offset, a multiple of align, and the
// arena's size.
func Pack(spans []Span, align int) (offsets []int, total int) {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return spans[order[a]].Bytes > spans[order[b]].Bytes })
	offsets = make([]int, len(spans))
	var placed []int // by offset
	for _, i := range order {
		s := spans[i]
		at := 0
		for _, j := range placed {
			o := spans[j]
			if o.Last < s.First || s.Last < o.First {
				continue
			}
			if at+s.Bytes <= offsets[j] {
				break
			}
			at = max(at, (offsets[j]+o.Bytes+align-1)/align*align)
		}
		offsets[i] = at
		total = max(total, at+s.Bytes)
		k := sort.Search(len(placed), func(k int) bool { return offsets[placed[k]] > at })
		placed = append(placed, 0)
		copy(placed[k+1:], placed[k:])
		placed[k] = i
	}
	return offsets, total
}
