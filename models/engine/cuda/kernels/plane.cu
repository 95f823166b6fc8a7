// Pictures: warping, pooling, resizing, bytes.

struct Sample {
	int p00, p01, p10, p11, moves_x, moves_y;
	float x, y;
};

__device__ __forceinline__ float clamp_to(float at, int n, int &floor, int &inside) {
	float last = (float)(n - 1);
	inside = at > 0 && at < last;
	floor = at >= last ? n - 1 : at > 0 ? (int)at : 0;
	return at >= last ? last : at > 0 ? at : 0;
}

// sample_at is where pixel i of all items reads, as pixels of all items.
__device__ __forceinline__ Sample sample_at(const float *flow, int i, const Divisor &high, const Divisor &wide) {
	int h = high.by, w = wide.by, x0, y0, at_x, at_y, item = split(high, split(wide, i, at_x), at_y) * h * w;
	Sample s;
	Line<float, 2> moved = *(const Line<float, 2> *)(flow + 2 * i);
	float x = clamp_to(at_x + moved.of[0], w, x0, s.moves_x);
	float y = clamp_to(at_y + moved.of[1], h, y0, s.moves_y);
	int x1 = x0 + 1 < w ? x0 + 1 : w - 1, y1 = y0 + 1 < h ? y0 + 1 : h - 1;
	s.p00 = item + y0 * w + x0;
	s.p01 = item + y0 * w + x1;
	s.p10 = item + y1 * w + x0;
	s.p11 = item + y1 * w + x1;
	s.x = x - x0;
	s.y = y - y0;
	return s;
}

__device__ __forceinline__ float warped(const Sample &s, const float *p, int channels, int c) {
	float top = p[s.p00 * channels + c] * (1 - s.x) + p[s.p01 * channels + c] * s.x;
	float bottom = p[s.p10 * channels + c] * (1 - s.x) + p[s.p11 * channels + c] * s.x;
	return top * (1 - s.y) + bottom * s.y;
}

// warp_some does N channels of a pixel, number `at` on: all is read before
// anything is written.
template <int N> __device__ __forceinline__ void warp_some(const Sample &s, int at, int channels, int c, const float *image, const float *raw, float part, float *out) {
	float v[N], r[N] = {};
	for (int k = 0; k < N; k++) v[k] = warped(s, image, channels, c + k);
	if (raw)
		for (int k = 0; k < N; k++) r[k] = raw[at + k];
	for (int k = 0; k < N; k++) out[at + k] = raw ? r[k] * part + v[k] * (1 - part) : v[k];
}

// warp samples, and with raw blends: raw*w + sampled*(1-w).
KERNEL warp(int pixels, Divisor h, Divisor w, int channels, const float *image, const float *flow, const float *raw, const float *weight, float *out) {
	EACH(i, pixels) {
		Sample s = sample_at(flow, i, h, w);
		float part = raw ? weight[i] : 0;
		int c = 0;
#pragma unroll 1
		for (; c + 3 <= channels; c += 3) warp_some<3>(s, i * channels + c, channels, c, image, raw, part, out);
#pragma unroll 1
		for (; c < channels; c++) warp_some<1>(s, i * channels + c, channels, c, image, raw, part, out);
	}
}

// warp_grad_image adds in double, so that the order, which is not fixed, does
// not show in the rounded sum.
KERNEL warp_grad_image(int pixels, Divisor h, Divisor w, int channels, const float *flow, const float *gy, double *sum) {
	EACH(i, pixels) {
		Sample s = sample_at(flow, i, h, w);
		for (int c = 0; c < channels; c++) {
			float g = gy[i * channels + c];
			atomicAdd(&sum[s.p00 * channels + c], (double)(g * (1 - s.y) * (1 - s.x)));
			atomicAdd(&sum[s.p01 * channels + c], (double)(g * (1 - s.y) * s.x));
			atomicAdd(&sum[s.p10 * channels + c], (double)(g * s.y * (1 - s.x)));
			atomicAdd(&sum[s.p11 * channels + c], (double)(g * s.y * s.x));
		}
	}
}

KERNEL to_float(int n, const double *in, float *out) {
	EACH(i, n) out[i] = (float)in[i];
}

KERNEL warp_grad_flow(int pixels, Divisor h, Divisor w, int channels, const float *image, const float *flow, const float *gy, float *out) {
	EACH(i, pixels) {
		Sample s = sample_at(flow, i, h, w);
		double gu = 0, gv = 0;
		for (int c = 0; c < channels; c++) {
			double g = gy[i * channels + c];
			float p00 = image[s.p00 * channels + c], p01 = image[s.p01 * channels + c];
			float p10 = image[s.p10 * channels + c], p11 = image[s.p11 * channels + c];
			if (s.moves_x) gu += g * ((p01 - p00) * (1 - s.y) + (p11 - p10) * s.y);
			if (s.moves_y) gv += g * ((p10 - p00) * (1 - s.x) + (p11 - p01) * s.x);
		}
		out[2 * i] = (float)gu;
		out[2 * i + 1] = (float)gv;
	}
}

// Window is the geometry of a pooling of (n,h,w,c) to (n,oh,ow,c).
struct Window {
	int k, stride, pad;
	Divisor h, w, c, oh, ow, by; // by the stride
};

__device__ __forceinline__ int inside(const Window &g, int i, int n, int &from) {
	from = i * g.stride - g.pad;
	int to = from + g.k < n ? from + g.k : n;
	from = from > 0 ? from : 0;
	return to;
}

KERNEL pool(int n, Window g, const float *in, float *out) {
	EACH(i, n) {
		int c, x, y, x0, y0, item = split(g.oh, split(g.ow, split(g.c, i, c), x), y);
		int x1 = inside(g, x, g.w.by, x0), y1 = inside(g, y, g.h.by, y0);
		double sum = 0;
		for (y = y0; y < y1; y++)
			for (x = x0; x < x1; x++) sum += in[((item * g.h.by + y) * g.w.by + x) * g.c.by + c];
		out[i] = (float)(sum / ((y1 - y0) * (x1 - x0)));
	}
}

// pool_grad gathers from every window that a pixel lies in.
KERNEL pool_grad(int n, Window g, const float *gy, float *out) {
	EACH(i, n) {
		int c, x, y, item = split(g.h, split(g.w, split(g.c, i, c), x), y), rest;
		float sum = 0;
		for (int oy = 0; oy < g.k; oy++) {
			int ty = y + g.pad - oy, y0;
			if (ty < 0) continue;
			int wy = split(g.by, ty, rest);
			if (rest || wy >= g.oh.by) continue;
			int high = inside(g, wy, g.h.by, y0) - y0;
			for (int ox = 0; ox < g.k; ox++) {
				int tx = x + g.pad - ox, x0;
				if (tx < 0) continue;
				int wx = split(g.by, tx, rest);
				if (rest || wx >= g.ow.by) continue;
				int wide = inside(g, wx, g.w.by, x0) - x0;
				sum += gy[((item * g.oh.by + wy) * g.ow.by + wx) * g.c.by + c] / (high * wide);
			}
		}
		out[i] = sum;
	}
}

// tap is where output i of an axis reads, at a scale of in to out:
// lo*(1-part) + hi*part.
__device__ __forceinline__ void tap(int i, int in, float scale, int bilinear, int &lo, int &hi, float &part) {
	if (!bilinear) {
		int at = (int)(i * scale);
		lo = hi = at < in - 1 ? at : in - 1;
		part = 0;
		return;
	}
	float at = __fadd_rn(__fmul_rn(i + 0.5f, scale), -0.5f);
	at = at > 0 ? at : 0;
	lo = (int)at < in - 1 ? (int)at : in - 1;
	hi = lo + 1 < in ? lo + 1 : in - 1;
	part = at - lo;
}

KERNEL resize(int n, int h, int w, Divisor channels, Divisor oh, Divisor ow, float sy, float sx, int bilinear, const float *in, float *out) {
	EACH(i, n) {
		int c, x, y, item = split(oh, split(ow, split(channels, i, c), x), y), y0, y1, x0, x1;
		float py, px;
		tap(y, h, sy, bilinear, y0, y1, py);
		tap(x, w, sx, bilinear, x0, x1, px);
		const float *p = in + item * h * w * channels.by + c;
		float top = p[(y0 * w + x0) * channels.by] * (1 - px) + p[(y0 * w + x1) * channels.by] * px;
		float bottom = p[(y1 * w + x0) * channels.by] * (1 - px) + p[(y1 * w + x1) * channels.by] * px;
		out[i] = top * (1 - py) + bottom * py;
	}
}

// near is the first of the out pixels that may read pixel i of in; those after
// the last read beyond it.
__device__ __forceinline__ int near(int i, int in, int out) {
	int at = (int)(((float)i - 1) * out / in) - 2;
	return at > 0 ? at : 0;
}

// resize_grad gathers: out (n,h,w,c) of gy (n,oh,ow,c).
KERNEL resize_grad(int n, Divisor h, Divisor w, Divisor channels, int oh, int ow, float sy, float sx, int bilinear, const float *gy, float *out) {
	EACH(i, n) {
		int c, x, y, item = split(h, split(w, split(channels, i, c), x), y);
		float sum = 0;
		for (int ty = near(y, h.by, oh); ty < oh; ty++) {
			int y0, y1, x0, x1;
			float py, px;
			tap(ty, h.by, sy, bilinear, y0, y1, py);
			if (y0 > y) break;
			float wy = (y0 == y ? 1 - py : 0) + (y1 == y ? py : 0);
			if (y1 < y) continue;
			for (int tx = near(x, w.by, ow); tx < ow; tx++) {
				tap(tx, w.by, sx, bilinear, x0, x1, px);
				if (x0 > x) break;
				float wx = (x0 == x ? 1 - px : 0) + (x1 == x ? px : 0);
				sum += gy[((item * oh + ty) * ow + tx) * channels.by + c] * wy * wx;
			}
		}
		out[i] = sum;
	}
}

// Frame is where the pixels of (n,oh,ow) lie in pictures of h x w, whose borders go
// on.
struct Frame {
	int h, w;
	Divisor oh, ow;
	__device__ __forceinline__ int item(int i, int &y, int &x) const { return split(oh, split(ow, i, x), y); }
	__device__ __forceinline__ int at(int item, int y, int x) const {
		y = y < 0 ? 0 : y < h ? y : h - 1;
		x = x < 0 ? 0 : x < w ? x : w - 1;
		return (item * h + y) * w + x;
	}
	__device__ __forceinline__ bool whole() const { return oh.by == h && ow.by == w; }
};

__device__ __forceinline__ const unsigned char *pixel(const unsigned char *in, int at) { return in + (long long)at * 3; }

typedef Line<unsigned char, 4> Bytes;

// from_bytes makes n numbers: of whole pictures four at a time, else a pixel's.
KERNEL from_bytes(int n, Frame f, int luma, const unsigned char *in, float *out) {
	if (f.whole() && !luma) {
		EACH(line, (n + 3) / 4) {
			Bytes b = {};
			if (4 * line + 4 <= n) b = *(const Bytes *)(in + 4 * line);
			else for (int e = 0; e < 4; e++)
				if (4 * line + e < n) b.of[e] = in[4 * line + e];
			Four v;
			for (int e = 0; e < 4; e++) v.of[e] = b.of[e] / 127.5f - 1;
			put(out, 4 * line, n, v);
		}
		return;
	}
	EACH(i, luma ? n : n / 3) {
		int y, x, item = f.item(i, y, x);
		const unsigned char *p = pixel(in, f.at(item, y, x));
		if (luma) {
			out[i] = (0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]) / 127.5f - 1;
			continue;
		}
		for (int c = 0; c < 3; c++) out[i * 3 + c] = p[c] / 127.5f - 1;
	}
}

__device__ __forceinline__ unsigned char to_byte(float x) {
	float v = __fmul_rn(x + 1, 127.5f);
	return v >= 255 ? 255 : v > 0 ? (unsigned char)rintf(v) : 0;
}

// to_bytes makes n bytes, four at a time.
KERNEL to_bytes(int n, Frame f, const float *in, unsigned char *out) {
	EACH(line, (n + 3) / 4) {
		int i = 4 * line;
		Bytes b = {};
		if (f.whole() && i + 4 <= n) {
			Four v = four(in, i);
			for (int e = 0; e < 4; e++) b.of[e] = to_byte(v.of[e]);
		} else {
			for (int e = 0; e < 4; e++) {
				if (i + e >= n) break;
				int at = (i + e) / 3, y, x, item = f.item(at, y, x);
				b.of[e] = to_byte(in[f.at(item, y, x) * 3 + i + e - at * 3]);
			}
		}
		if (i + 4 <= n) *(Bytes *)(out + i) = b;
		else for (int e = 0; e < 4; e++)
			if (i + e < n) out[i + e] = b.of[e];
	}
}

// one_hot makes n numbers, four at a time.
KERNEL one_hot(int n, Frame f, Divisor channels, const unsigned char *in, float *out) {
	EACH(line, (n + 3) / 4) {
		int i = 4 * line, c, y, x, at = split(channels, i, c), item = f.item(at, y, x);
		int label = pixel(in, f.at(item, y, x))[0];
		Four v = {};
		for (int e = 0; e < 4; e++, c++) {
			if (c == channels.by && i + e < n) { // the next pixel's first
				c = 0;
				item = f.item(++at, y, x);
				label = pixel(in, f.at(item, y, x))[0];
			}
			v.of[e] = label == c;
		}
		put(out, i, n, v);
	}
}

__device__ __forceinline__ int differs(const unsigned char *a, const unsigned char *b) {
	return a[0] != b[0] || a[1] != b[1] || a[2] != b[2];
}

KERNEL edges(int n, Frame f, const unsigned char *in, float *out) {
	EACH(i, n) {
		int y, x, item = f.item(i, y, x);
		const unsigned char *at = pixel(in, f.at(item, y, x));
		out[i] = differs(at, pixel(in, f.at(item, y - 1, x))) || differs(at, pixel(in, f.at(item, y + 1, x))) ||
			differs(at, pixel(in, f.at(item, y, x - 1))) || differs(at, pixel(in, f.at(item, y, x + 1)));
	}
}
