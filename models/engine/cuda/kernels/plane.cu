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
__device__ __forceinline__ Sample sample_at(const float *flow, int i, int h, int w) {
	int x0, y0, item = i / (h * w) * h * w;
	Sample s;
	float x = clamp_to(i % w + flow[2 * i], w, x0, s.moves_x);
	float y = clamp_to(i / w % h + flow[2 * i + 1], h, y0, s.moves_y);
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

// warp samples, and with raw blends: raw*w + sampled*(1-w).
KERNEL warp(int pixels, int h, int w, int channels, const float *image, const float *flow, const float *raw, const float *weight, float *out) {
	EACH(i, pixels) {
		Sample s = sample_at(flow, i, h, w);
		for (int c = 0; c < channels; c++) {
			float v = warped(s, image, channels, c);
			if (raw) v = raw[i * channels + c] * weight[i] + v * (1 - weight[i]);
			out[i * channels + c] = v;
		}
	}
}

// warp_grad_image adds in double, so that the order, which is not fixed, does
// not show in the rounded sum.
KERNEL warp_grad_image(int pixels, int h, int w, int channels, const float *flow, const float *gy, double *sum) {
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

KERNEL warp_grad_flow(int pixels, int h, int w, int channels, const float *image, const float *flow, const float *gy, float *out) {
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
struct Window { int n, h, w, c, oh, ow, k, stride, pad; };

__device__ __forceinline__ int inside(const Window &g, int i, int n, int &from) {
	from = i * g.stride - g.pad;
	int to = from + g.k < n ? from + g.k : n;
	from = from > 0 ? from : 0;
	return to;
}

KERNEL pool(Window g, const float *in, float *out) {
	EACH(i, g.n * g.oh * g.ow * g.c) {
		int c = i % g.c, x0, y0, item = i / g.c / g.ow / g.oh;
		int x1 = inside(g, i / g.c % g.ow, g.w, x0), y1 = inside(g, i / g.c / g.ow % g.oh, g.h, y0);
		double sum = 0;
		for (int y = y0; y < y1; y++)
			for (int x = x0; x < x1; x++) sum += in[((item * g.h + y) * g.w + x) * g.c + c];
		out[i] = (float)(sum / ((y1 - y0) * (x1 - x0)));
	}
}

// pool_grad gathers from every window that a pixel lies in.
KERNEL pool_grad(Window g, const float *gy, float *out) {
	EACH(i, g.n * g.h * g.w * g.c) {
		int c = i % g.c, x = i / g.c % g.w, y = i / g.c / g.w % g.h, item = i / g.c / g.w / g.h;
		float sum = 0;
		for (int oy = 0; oy < g.k; oy++) {
			int ty = y + g.pad - oy, wy = ty / g.stride, y0, x0;
			if (ty < 0 || ty % g.stride || wy >= g.oh) continue;
			int high = inside(g, wy, g.h, y0) - y0;
			for (int ox = 0; ox < g.k; ox++) {
				int tx = x + g.pad - ox, wx = tx / g.stride;
				if (tx < 0 || tx % g.stride || wx >= g.ow) continue;
				int wide = inside(g, wx, g.w, x0) - x0;
				sum += gy[((item * g.oh + wy) * g.ow + wx) * g.c + c] / (high * wide);
			}
		}
		out[i] = sum;
	}
}

// tap is where output i of an axis reads: lo*(1-part) + hi*part.
__device__ __forceinline__ void tap(int i, int in, int out, int bilinear, int &lo, int &hi, float &part) {
	float scale = (float)in / (float)out;
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

KERNEL resize(int n, int h, int w, int channels, int oh, int ow, int bilinear, const float *in, float *out) {
	EACH(i, n * oh * ow * channels) {
		int c = i % channels, item = i / channels / ow / oh, y0, y1, x0, x1;
		float py, px;
		tap(i / channels / ow % oh, h, oh, bilinear, y0, y1, py);
		tap(i / channels % ow, w, ow, bilinear, x0, x1, px);
		const float *p = in + item * h * w * channels + c;
		float top = p[(y0 * w + x0) * channels] * (1 - px) + p[(y0 * w + x1) * channels] * px;
		float bottom = p[(y1 * w + x0) * channels] * (1 - px) + p[(y1 * w + x1) * channels] * px;
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
KERNEL resize_grad(int n, int h, int w, int channels, int oh, int ow, int bilinear, const float *gy, float *out) {
	EACH(i, n * h * w * channels) {
		int c = i % channels, x = i / channels % w, y = i / channels / w % h, item = i / channels / w / h;
		float sum = 0;
		for (int ty = near(y, h, oh); ty < oh; ty++) {
			int y0, y1, x0, x1;
			float py, px;
			tap(ty, h, oh, bilinear, y0, y1, py);
			if (y0 > y) break;
			float wy = (y0 == y ? 1 - py : 0) + (y1 == y ? py : 0);
			if (y1 < y) continue;
			for (int tx = near(x, w, ow); tx < ow; tx++) {
				tap(tx, w, ow, bilinear, x0, x1, px);
				if (x0 > x) break;
				float wx = (x0 == x ? 1 - px : 0) + (x1 == x ? px : 0);
				sum += gy[((item * oh + ty) * ow + tx) * channels + c] * wy * wx;
			}
		}
		out[i] = sum;
	}
}

__device__ __forceinline__ const unsigned char *pixel(const unsigned char *in, int item, int y, int x, int h, int w) {
	y = y < 0 ? 0 : y < h ? y : h - 1;
	x = x < 0 ? 0 : x < w ? x : w - 1;
	return in + (long long)((item * h + y) * w + x) * 3;
}

KERNEL from_bytes(int n, int h, int w, int oh, int ow, int luma, const unsigned char *in, float *out) {
	EACH(i, n * oh * ow) {
		const unsigned char *p = pixel(in, i / (oh * ow), i / ow % oh, i % ow, h, w);
		if (luma) {
			out[i] = (0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]) / 127.5f - 1;
			continue;
		}
		for (int c = 0; c < 3; c++) out[i * 3 + c] = p[c] / 127.5f - 1;
	}
}

KERNEL to_bytes(int n, int h, int w, int oh, int ow, const float *in, unsigned char *out) {
	EACH(i, n * oh * ow * 3) {
		int c = i % 3, x = i / 3 % ow, y = i / 3 / ow % oh, item = i / 3 / ow / oh;
		float v = __fmul_rn(in[((item * h + y) * w + x) * 3 + c] + 1, 127.5f);
		out[i] = v >= 255 ? 255 : v > 0 ? (unsigned char)rintf(v) : 0;
	}
}

KERNEL one_hot(int n, int h, int w, int oh, int ow, int channels, const unsigned char *in, float *out) {
	EACH(i, n * oh * ow * channels) {
		int at = i / channels;
		out[i] = pixel(in, at / (oh * ow), at / ow % oh, at % ow, h, w)[0] == i % channels;
	}
}

__device__ __forceinline__ int differs(const unsigned char *a, const unsigned char *b) {
	return a[0] != b[0] || a[1] != b[1] || a[2] != b[2];
}

KERNEL edges(int n, int h, int w, int oh, int ow, const unsigned char *in, float *out) {
	EACH(i, n * oh * ow) {
		int item = i / (oh * ow), y = i / ow % oh, x = i % ow;
		const unsigned char *at = pixel(in, item, y, x, h, w);
		out[i] = differs(at, pixel(in, item, y - 1, x, h, w)) || differs(at, pixel(in, item, y + 1, x, h, w)) ||
			differs(at, pixel(in, item, y, x - 1, h, w)) || differs(at, pixel(in, item, y, x + 1, h, w));
	}
}
