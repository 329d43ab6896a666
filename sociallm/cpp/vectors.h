// Vectors of LANES numbers, in single, double or (to read only) half precision, and the functions of one variable that a step needs.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // in its own header
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;

constexpr int up(int n, int to) { return (n + to - 1) / to * to; }

template <class T> struct Lanes { typedef T type __attribute__((vector_size(LANES * sizeof(T)))); };
template <class T> using V = typename Lanes<T>::type;

// While it lives, numbers too small to matter count as 0, which would be slow, or do not.
class Flushing {
public:
#if defined(__x86_64__)
    explicit Flushing(bool on) : before(_mm_getcsr()) { _mm_setcsr(on ? before | 0x8040 : before & ~0x8040u); }
    ~Flushing() { _mm_setcsr(before); }

private:
    unsigned before;
#else
    explicit Flushing(bool) {}
#endif
};

struct Half { uint16_t bits; };

template <class T> V<T> load(const T* from) { V<T> v; std::memcpy(&v, from, sizeof v); return v; }
template <class T> void store(T* to, V<T> v) { std::memcpy(to, &v, sizeof v); }

V<float> wide(const Half* from) {  // exact
    V<float> v;
#if defined(__AVX512F__)
    __m512 all = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
    std::memcpy(&v, &all, sizeof v);
#elif defined(__F16C__)
    for (int part = 0; part < 2; part++) {
        __m256 eight = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from + part));
        std::memcpy((char*)&v + 32 * part, &eight, 32);
    }
#else
    for (int i = 0; i < LANES; i++) {
        uint32_t rest = uint32_t(from[i].bits & 0x7fff) << 13;
        float size;
        std::memcpy(&size, &rest, 4);
        size *= 5.192296858534828e33f;  // 2^112, the distance of the exponents' zeros
        v[i] = from[i].bits & 0x8000 ? -size : size;
    }
#endif
    return v;
}

template <class T, class M> V<T> load_as(const M* from) {
    if constexpr (std::is_same_v<T, M>) return load(from);
    else return wide(from);
}

template <class T> T total(V<T> v) { T s = 0; for (int i = 0; i < LANES; i++) s += v[i]; return s; }

V<double> exponential(V<double> x) { for (int i = 0; i < LANES; i++) x[i] = std::exp(x[i]); return x; }

// e^x = 2^k e^r with |r| <= ln 2 / 2, ln 2 in two parts, e^r by its series to r^7: relative error below 2e-7.
V<float> exponential(V<float> x) {
    typedef int32_t I __attribute__((vector_size(LANES * 4)));
    const V<float> low = V<float>{} - 87.0f, high = V<float>{} + 88.0f;
    x = x < low ? low : x > high ? high : x;
    V<float> shifted = x * 1.44269504088896341f + 12582912.0f, k = shifted - 12582912.0f;  // 1.5 · 2^23: rounds to an integer
    V<float> r = x - k * 0.693145751953125f - k * 1.42860682030941723e-6f;
    V<float> p = r * (1.0f / 5040) + 1.0f / 720;
    for (float c : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + c;
    I bits;
    V<float> power;
    I whole = __builtin_convertvector(k, I);
    bits = (whole + 127) << 23;
    std::memcpy(&power, &bits, sizeof bits);
    return p * power;
}

template <class Vector> Vector silu(Vector x) { return x / (exponential(-x) + decltype(x[0] + x[0])(1)); }

template <class T> T softplus(T x) { return x > 20 ? x : std::log1p(std::exp(x)); }

template <class T> T square_mean(const T* x, int n) {
    V<T> sum = V<T>{};
    int i = 0;
    for (; i + LANES <= n; i += LANES) { V<T> v = load(x + i); sum += v * v; }
    T s = total<T>(sum);
    for (; i < n; i++) s += x[i] * x[i];
    return s / n;
}

template <class T> void unit(const T* x, T* y, int n, T eps) {  // y = x / sqrt(mean x² + eps)
    T scale = 1 / std::sqrt(square_mean(x, n) + eps);
    for (int i = 0; i < n; i++) y[i] = x[i] * scale;
}

}  // namespace
