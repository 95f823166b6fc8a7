// What NVRTC knows by itself, for clang: it compiles the kernels to PTX without
// CUDA's headers and libraries, so that functions of those are declared only.
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __noinline__ __attribute__((noinline))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __align__(n) __attribute__((aligned(n)))
struct Coordinate { unsigned x, y, z; };
extern const __device__ __attribute__((weak)) Coordinate threadIdx, blockIdx, blockDim, gridDim;
extern "C" {
__device__ float __nv_tanhf(float), __nv_expf(float), __nv_sqrtf(float), __nv_rintf(float), __nv_fadd_rn(float, float), __nv_fmul_rn(float, float);
__device__ double __nv_sqrt(double), __nv_fabs(double), __nv_exp(double), __nv_log1p(double);
}
__device__ __forceinline__ float tanhf(float x) { return __nv_tanhf(x); }
__device__ __forceinline__ float expf(float x) { return __nv_expf(x); }
__device__ __forceinline__ float sqrtf(float x) { return __nv_sqrtf(x); }
__device__ __forceinline__ float rintf(float x) { return __nv_rintf(x); }
__device__ __forceinline__ float __fadd_rn(float a, float b) { return __nv_fadd_rn(a, b); }
__device__ __forceinline__ float __fmul_rn(float a, float b) { return __nv_fmul_rn(a, b); }
__device__ __forceinline__ double sqrt(double x) { return __nv_sqrt(x); }
__device__ __forceinline__ double fabs(double x) { return __nv_fabs(x); }
__device__ __forceinline__ double exp(double x) { return __nv_exp(x); }
__device__ __forceinline__ double log1p(double x) { return __nv_log1p(x); }
__device__ __forceinline__ unsigned __float_as_uint(float f) { return __builtin_bit_cast(unsigned, f); }
__device__ __forceinline__ float __uint_as_float(unsigned u) { return __builtin_bit_cast(float, u); }
__device__ __forceinline__ double atomicAdd(double *p, double v) { return __nvvm_atom_add_gen_d(p, v); }
__device__ __forceinline__ int atomicCAS(int *p, int was, int now) { return __nvvm_atom_cas_gen_i(p, was, now); }
