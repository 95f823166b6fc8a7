// Copies in which convolutions read pictures and filters: rounded, with channels
// in units of 16 bytes, pictures with their borders.

enum { AS_FLOAT, AS_BF16, AS_TF32 };

// mirrored is where row or column i of n lies, beyond a border in the mirror or -1.
__device__ __forceinline__ int mirrored(int i, int n, int reflect) {
	if (i >= 0 && i < n) return i;
	return reflect ? mirror(i, n) : -1;
}

// rounded_tf32 is x to the nearest of tf32's 10 bits, halves away from 0.
__device__ __forceinline__ float rounded_tf32(float x) {
	unsigned u = __float_as_uint(x);
	return (u & 0x7f800000) == 0x7f800000 ? x : __uint_as_float((u + 0x1000) & 0xffffe000);
}

__device__ __forceinline__ void put(int as, void *out, int i, float x) {
	if (as == AS_BF16) ((unsigned short *)out)[i] = to_bf16(x);
	else ((float *)out)[i] = as == AS_TF32 ? rounded_tf32(x) : x;
}

// frame copies pictures (n,h,w,c), which lie as bfloat16 where half says so, to
// (n,h+2*pad+down,w+2*pad+right,cp), a unit of UNIT numbers at a time. Borders are
// mirrored or 0, as are channels from c on; what lies right of them and below does
// not matter.
template <int UNIT> __device__ __forceinline__ void frame_units(int n, int h, int w, int c, int cp, int pad, int right, int down, int reflect, int half, int as, const void *in, void *out) {
	int wp = w + 2 * pad + right, hp = h + 2 * pad + down, units = cp / UNIT;
	EACH(i, n * hp * wp * units) {
		int pixel = i / units, first = i % units * UNIT;
		int x = mirrored(pixel % wp - pad, w, reflect), y = mirrored(pixel / wp % hp - pad, h, reflect);
		Line<float, UNIT> v = {};
		if (x >= 0 && y >= 0 && x < w && y < h) {
			int at = ((pixel / wp / hp * h + y) * w + x) * c + first;
			if (c % UNIT == 0 && half) {
				Line<unsigned short, UNIT> u = *(const Line<unsigned short, UNIT> *)((const unsigned short *)in + at);
#pragma unroll
				for (int j = 0; j < UNIT; j++) v.of[j] = from_bf16(u.of[j]);
			} else if (c % UNIT == 0) {
				v = *(const Line<float, UNIT> *)((const float *)in + at);
			} else {
				for (int j = 0; j < UNIT; j++)
					if (first + j < c) v.of[j] = half ? from_bf16(((const unsigned short *)in)[at + j]) : ((const float *)in)[at + j];
			}
		}
		if (as == AS_BF16) {
			Line<unsigned short, UNIT> u;
#pragma unroll
			for (int j = 0; j < UNIT; j++) u.of[j] = to_bf16(v.of[j]);
			*(Line<unsigned short, UNIT> *)((unsigned short *)out + i * UNIT) = u;
			continue;
		}
#pragma unroll
		for (int j = 0; j < UNIT; j++) v.of[j] = as == AS_TF32 ? rounded_tf32(v.of[j]) : v.of[j];
		*(Line<float, UNIT> *)((float *)out + i * UNIT) = v;
	}
}

KERNEL frame(int n, int h, int w, int c, int cp, int pad, int right, int down, int reflect, int half, int as, const void *in, void *out) {
	if (cp % 8 == 0) frame_units<8>(n, h, w, c, cp, pad, right, down, reflect, half, as, in, out);
	else if (cp % 4 == 0) frame_units<4>(n, h, w, c, cp, pad, right, down, reflect, half, as, in, out);
	else frame_units<1>(n, h, w, c, cp, pad, right, down, reflect, half, as, in, out);
}

// arrange copies filters to (d0,d1,d2,width), of the last of which d3 are there;
// s are the steps in what is read.
KERNEL arrange(int d0, int d1, int d2, int d3, int width, int s0, int s1, int s2, int s3, int as, const float *in, void *out) {
	EACH(i, d0 * d1 * d2 * width) {
		int k = i % width, c = i / width % d2, b = i / width / d2 % d1, a = i / width / d2 / d1;
		put(as, out, i, k < d3 ? in[a * s0 + b * s1 + c * s2 + k * s3] : 0);
	}
}

// join_columns sums what the taps of a row made apart: in (n,h,w+taps-1,taps*o),
// out (n,h,w,o).
KERNEL join_columns(int n, int h, int w, int o, int taps, Post p, const float *in, const float *bias, float *out) {
	EACH(i, n * h * w * o) {
		int c = i % o, x = i / o % w, row = i / o / w;
		float sum = 0;
		for (int k = 0; k < taps; k++) sum += in[((row * (w + taps - 1) + x + k) * taps + k) * o + c];
		post(p, sum + (bias ? bias[c] : 0), i, out);
	}
}

// noise fills with numbers that bfloat16 has, of 0.5 to 1 and both signs.
KERNEL noise(int n, int half, int seed, void *out) {
	EACH(i, n) {
		unsigned u = (unsigned)i * 2654435761u ^ (unsigned)seed * 2246822519u;
		u = (u ^ u >> 15) * 2246822519u;
		u = (u ^ u >> 13) * 3266489917u;
		u = 0x3f000000 | (u >> 9 & 0x7f) << 16 | (u >> 20 & 1) << 31;
		if (half) ((unsigned short *)out)[i] = u >> 16;
		else ((unsigned *)out)[i] = u;
	}
}

// differ sums the squares of a-b and of b.
KERNEL differ(int n, int half, const void *a, const void *b, double *sums) {
	SHARED(double, room);
	double apart = 0, whole = 0;
	EACH(i, n) {
		float x = half ? from_bf16(((const unsigned short *)a)[i]) : ((const float *)a)[i];
		float y = half ? from_bf16(((const unsigned short *)b)[i]) : ((const float *)b)[i];
		apart += ((double)x - y) * ((double)x - y);
		whole += (double)y * y;
	}
	apart = total(apart, room);
	whole = total(whole, room);
	if (threadIdx.x) return;
	atomicAdd(sums, apart);
	atomicAdd(sums + 1, whole);
}
