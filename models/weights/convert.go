package weights

import (
	"encoding/binary"
	"math"
)

// le is the byte order of every file read and written here.
var le = binary.LittleEndian

// toFloat32 converts len(dst) elements of a floating type. The caller has
// checked that src holds them.
func toFloat32(dst []float32, src []byte, t DType) {
	src = src[:len(dst)*t.Size()]
	switch t {
	case F32:
		copyF32(dst, src)
	case F16:
		for ; len(dst) >= 4; src, dst = src[8:], dst[4:] {
			w, d := le.Uint64(src), (*[4]float32)(dst)
			d[0], d[1] = fromF16(uint16(w)), fromF16(uint16(w>>16))
			d[2], d[3] = fromF16(uint16(w>>32)), fromF16(uint16(w>>48))
		}
		for i := range dst {
			dst[i] = fromF16(le.Uint16(src[2*i:]))
		}
	case BF16:
		for ; len(dst) >= 4; src, dst = src[8:], dst[4:] {
			w, d := le.Uint64(src), (*[4]float32)(dst)
			d[0], d[1] = math.Float32frombits(uint32(w)<<16), math.Float32frombits(uint32(w)&0xffff0000)
			d[2], d[3] = math.Float32frombits(uint32(w>>32)<<16), math.Float32frombits(uint32(w>>32)&0xffff0000)
		}
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	}
}

// copyF32 is unrolled: the compiler turns each line into one load and one
// store, and the array pointers remove the bounds checks.
func copyF32(dst []float32, src []byte) {
	for len(dst) >= 8 {
		s, d := (*[32]byte)(src), (*[8]float32)(dst)
		d[0] = math.Float32frombits(le.Uint32(s[0:4]))
		d[1] = math.Float32frombits(le.Uint32(s[4:8]))
		d[2] = math.Float32frombits(le.Uint32(s[8:12]))
		d[3] = math.Float32frombits(le.Uint32(s[12:16]))
		d[4] = math.Float32frombits(le.Uint32(s[16:20]))
		d[5] = math.Float32frombits(le.Uint32(s[20:24]))
		d[6] = math.Float32frombits(le.Uint32(s[24:28]))
		d[7] = math.Float32frombits(le.Uint32(s[28:32]))
		src, dst = src[32:], dst[8:]
	}
	for i := range dst {
		dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
	}
}

// fromF16 places the half's exponent and mantissa in a float32 whose exponent
// is then too small by 112; one exact multiplication mends it, subnormals
// included. Infinities and NaNs get the exponent they need.
func fromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	rest := uint32(h&0x7fff) << 13
	if h&0x7c00 == 0x7c00 {
		return math.Float32frombits(sign | rest | 0x7f800000)
	}
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(rest)*0x1p112))
}

// fromFloat32 stores src as type t in dst and returns the index of the first
// finite number that t cannot hold, or -1.
func fromFloat32(dst []byte, src []float32, t DType) int {
	dst = dst[:len(src)*t.Size()]
	bad := -1
	switch t {
	case F32:
		putF32(dst, src)
	case F16:
		for i, f := range src {
			h := toF16(f)
			if h&0x7fff == 0x7c00 && bad < 0 && !math.IsInf(float64(f), 0) {
				bad = i
			}
			le.PutUint16(dst[2*i:], h)
		}
	case BF16:
		for i, f := range src {
			h := toBF16(f)
			if h&0x7fff == 0x7f80 && bad < 0 && !math.IsInf(float64(f), 0) {
				bad = i
			}
			le.PutUint16(dst[2*i:], h)
		}
	case F64:
		for i, f := range src {
			le.PutUint64(dst[8*i:], math.Float64bits(float64(f)))
		}
	}
	return bad
}

func putF32(dst []byte, src []float32) {
	for len(src) >= 8 {
		s, d := (*[8]float32)(src), (*[32]byte)(dst)
		le.PutUint32(d[0:4], math.Float32bits(s[0]))
		le.PutUint32(d[4:8], math.Float32bits(s[1]))
		le.PutUint32(d[8:12], math.Float32bits(s[2]))
		le.PutUint32(d[12:16], math.Float32bits(s[3]))
		le.PutUint32(d[16:20], math.Float32bits(s[4]))
		le.PutUint32(d[20:24], math.Float32bits(s[5]))
		le.PutUint32(d[24:28], math.Float32bits(s[6]))
		le.PutUint32(d[28:32], math.Float32bits(s[7]))
		src, dst = src[8:], dst[32:]
	}
	for i, f := range src {
		le.PutUint32(dst[4*i:], math.Float32bits(f))
	}
}

// toF16 rounds to the nearest half, ties to even; what is too large becomes an
// infinity.
func toF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign, b := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case b > 0x7f800000: // NaN: quiet, with what fits of its payload
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x47800000: // 2^16 and above
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: adding 0.5 lets the adder round to multiples of 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	b += 0xfff + b>>13&1 // may carry into the exponent, and so to infinity, as rounding should
	return sign | uint16((b-112<<23)>>13)
}

// toBF16 rounds to the nearest bfloat16, ties to even.
func toBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
