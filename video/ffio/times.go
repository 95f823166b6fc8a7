package ffio

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/v2v/v2v/video"
)

// claim is what a file's header says of its picture, which a broken file does
// not keep.
type claim struct {
	frames   int            // including those never shown; 0 where the header is silent
	rate     video.Rational // at which it counts them
	duration float64        // in seconds, of the picture or else of everything
	broken   bool           // the file could not be read without errors
}

// maxMissing bounds how many frames a header may invent.
const maxMissing = 10_000_000

// addMissing appends the times of the frames that the header promises and the
// file does not hold, at the clip's rate. Headers err and durations round, so a
// shorter file is believed unless its frame count, or an error, speaks too.
func (c claim) addMissing(info *video.Info, hidden int) {
	n, rate := info.Frames(), info.Rate.Float()
	promised := c.duration
	switch {
	case c.frames > n+hidden: // AVI counts frames that are repeated and have no packet
		if c.rate.Num > 0 {
			promised = max(promised, float64(c.frames-hidden)/c.rate.Float())
		}
	case c.frames > 0 || !c.broken:
		return
	}
	there := float64(info.Times[n-1]-info.Times[0])*info.TimeBase.Float() + 1/rate
	missing := int(math.Round((promised - there) * rate))
	if missing < 1 || missing > maxMissing {
		return
	}
	last := info.Times[n-1]
	for i := range int64(missing) {
		info.Times = append(info.Times, last+frameTicks(info, i+1))
	}
	info.Duration += time.Duration(float64(missing) / rate * float64(time.Second))
}

// frameTicks is n frames in ticks, at least n.
func frameTicks(info *video.Info, n int64) int64 {
	return max(n, rescale(n, info.Rate.Den*info.TimeBase.Den, info.Rate.Num*info.TimeBase.Num))
}

type packet struct {
	pts, dts, dur  int64
	hasPTS, hasDTS bool
}

// parsePackets reads ffprobe's lines of pts, dts, duration, size and flags. It
// leaves out packets that show nothing, which hidden counts: those that an edit
// list cuts off, and the empty ones by which AVI repeats a frame.
func parsePackets(b []byte) (ps []packet, hidden int, err error) {
	sc := bufio.NewScanner(bytes.NewReader(b))
	for sc.Scan() {
		f := strings.Split(sc.Text(), ",")
		if len(f) < 5 {
			if strings.Trim(sc.Text(), ",") == "" {
				continue // side data leaves empty lines
			}
			return nil, 0, fmt.Errorf("read ffprobe's packets: odd line %q", sc.Text())
		}
		if f[3] == "0" || strings.Contains(f[4], "D") {
			hidden++
			continue
		}
		var p packet
		p.pts, p.hasPTS = tick(f[0])
		p.dts, p.hasDTS = tick(f[1])
		p.dur, _ = tick(f[2])
		ps = append(ps, p)
	}
	if err := sc.Err(); err != nil {
		return nil, 0, fmt.Errorf("read ffprobe's packets: %w", err)
	}
	return ps, hidden, nil
}

func tick(s string) (int64, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil && v > -maxTick && v < maxTick
}

// maxTick keeps sums and differences of times inside an int64.
const maxTick = int64(1) << 61

// addTimes sets what the packets tell: times, rate, whether it varies, and the
// duration. It returns the number of packets that are never shown.
func addTimes(info *video.Info, csv []byte) (hidden int, err error) {
	ps, hidden, err := parsePackets(csv)
	if err != nil {
		return 0, err
	}
	if len(ps) == 0 {
		return 0, fmt.Errorf("%w: the video stream is empty", video.ErrNoFrames)
	}
	times, last := presentation(ps, info)
	info.Times = times
	measureRate(info)
	if last <= 0 {
		last = frameTicks(info, 1)
	}
	settleDuration(info, times[len(times)-1]-times[0], last)
	return hidden, nil
}

// settleDuration believes the file where it leaves a plausible time for the last
// frame, whose packet often says nothing or the distance to another frame.
func settleDuration(info *video.Info, span, last int64) {
	seconds := func(ticks int64) time.Duration {
		return time.Duration(float64(ticks) * info.TimeBase.Float() * float64(time.Second))
	}
	hold := info.Duration - seconds(span)
	if hold <= 0 || hold.Seconds()*info.Rate.Float() > 2 {
		info.Duration = seconds(span + last)
	}
}

// presentation sorts the packets into the order of showing and returns the
// duration of the one shown last. Containers without presentation times (AVI)
// have decoding times of the same spacing; a stream without either is counted.
func presentation(ps []packet, info *video.Info) (times []int64, last int64) {
	pts, dts := true, true
	for _, p := range ps {
		pts, dts = pts && p.hasPTS, dts && p.hasDTS
	}
	info.Counted = !pts
	for i := range ps {
		switch p := &ps[i]; {
		case pts:
		case dts:
			p.pts = p.dts
		default:
			rate := info.Rate
			if rate.Num == 0 {
				rate = defaultRate
			}
			p.pts = rescale(int64(i), rate.Den*info.TimeBase.Den, rate.Num*info.TimeBase.Num)
		}
	}
	slices.SortStableFunc(ps, func(a, b packet) int { return int(min(1, max(-1, a.pts-b.pts))) })
	times = make([]int64, len(ps))
	for i, p := range ps {
		times[i] = p.pts
	}
	return times, ps[len(ps)-1].dur
}

// defaultRate is ffmpeg's own for streams that name none.
var defaultRate = video.Rational{Num: 25, Den: 1}

// broadcastRates are tried where a file's own claim does not fit its times.
var broadcastRates = []video.Rational{
	{Num: 24000, Den: 1001}, {Num: 24, Den: 1}, {Num: 25, Den: 1}, {Num: 30000, Den: 1001}, {Num: 30, Den: 1},
	{Num: 50, Den: 1}, {Num: 60000, Den: 1001}, {Num: 60, Den: 1},
}

// measureRate settles Rate and Variable by the times. A rate that puts every
// frame within a tick of its time is the rate; without one the clip's rate
// varies, and Rate is the mean.
func measureRate(info *video.Info) {
	t, tb := info.Times, info.TimeBase
	n := int64(len(t))
	if n == 1 {
		if info.Rate.Num == 0 {
			info.Rate = defaultRate
		}
		return
	}
	for _, r := range append([]video.Rational{info.Rate}, broadcastRates...) {
		if r.Num > 0 && fits(t, tb, r) {
			info.Rate = r
			return
		}
	}
	span := t[n-1] - t[0]
	if span <= 0 {
		info.Variable = true
		if info.Rate.Num == 0 {
			info.Rate = defaultRate
		}
		return
	}
	info.Rate = mean(n-1, span, tb)
	info.Variable = !fits(t, tb, info.Rate)
}

// mean is n frames over span ticks as a fraction of modest size.
func mean(n, span int64, tb video.Rational) video.Rational {
	r := new(big.Rat).SetFrac64(n, span)
	r.Mul(r, new(big.Rat).SetFrac64(tb.Den, tb.Num))
	if r.Num().IsInt64() && r.Denom().IsInt64() && r.Num().Int64() <= math.MaxInt32 && r.Denom().Int64() <= math.MaxInt32 {
		return video.Rational{Num: r.Num().Int64(), Den: r.Denom().Int64()}
	}
	f, _ := r.Float64()
	return reduce(max(1, int64(math.Round(min(f, 1e6)*1000))), 1000)
}

// fits reports whether frame i stands within a tick of i/rate, for every i.
func fits(t []int64, tb, rate video.Rational) bool {
	step := float64(rate.Den) / float64(rate.Num) / tb.Float()
	for i, v := range t {
		if math.Abs(float64(v-t[0])-float64(i)*step) > 1.001 {
			return false
		}
	}
	return true
}

// rescale is v*num/den, rounded to the nearest, without overflow on the way; a
// result that no clock holds saturates.
func rescale(v, num, den int64) int64 {
	d := big.NewInt(den)
	n := new(big.Int).Mul(big.NewInt(v), big.NewInt(num))
	n.Lsh(n, 1).Add(n, d)
	n.Div(n, d.Lsh(d, 1)) // Euclidean: floor for den > 0
	if !n.IsInt64() {
		return maxTick
	}
	return n.Int64()
}
