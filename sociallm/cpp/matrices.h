// Products of a matrix with several rows: panel after panel, so that each is read once and stays in the nearest cache. A row's sums run
// in the same order however many rows go with it.
#pragma once
#include <cstddef>

#include "given.h"
#include "vectors.h"

namespace {

constexpr int MOST_ROWS = 12;  // multiplied at once: their sums fill the registers

static_assert(PANEL % LANES == 0);

// y = W x + bias of one panel's outputs for R rows; meanwhile the `next` panel, if there is one, is called near.
template <class T, class M, int R> void product_of(const M* w, const T* const* x, T* const* y, const T* bias, int in, const M* next) {
    constexpr int C = PANEL / LANES, LINE = 64 / sizeof(M);  // numbers of a cache line
    V<T> sum[R][C];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sum[r][c] = bias ? load(bias + c * LANES) : V<T>{};
    for (int k = 0; k < in; k++, w += PANEL) {
        for (int c = 0; next && c < PANEL; c += LINE) __builtin_prefetch(next + k * PANEL + c);
        V<T> column[C];
        for (int c = 0; c < C; c++) column[c] = load_as<T>(w + c * LANES);
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) sum[r][c] += x[r][k] * column[c];
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) store(y[r] + c * LANES, sum[r][c]);
}

// The product of so many rows as are given, at most R: their number is known to the compiler, which keeps their sums in registers.
template <class T, class M, int R = MOST_ROWS> void product(const M* w, const T* const* x, T* const* y, const T* bias, int in, const M* next, int rows) {
    if (rows == R) return product_of<T, M, R>(w, x, y, bias, in, next);
    if constexpr (R > 1) product<T, M, R - 1>(w, x, y, bias, in, next, rows);
}

// y = W x + bias for every row, W of panels with `in` inputs; panels outermost, so that one is still near when the next few rows want it.
template <class T, class M> void apply(const M* w, const T* bias, int in, int out, const T* const* x, T* const* y, int rows) {
    int parts = (rows + MOST_ROWS - 1) / MOST_ROWS;
    T* to[MOST_ROWS];
    for (int first = 0; first < out; first += PANEL, w += std::ptrdiff_t(in) * PANEL, bias = bias ? bias + PANEL : bias)
        for (int part = 0, row = 0; part < parts; part++) {
            int count = rows / parts + (part < rows % parts);
            for (int r = 0; r < count; r++) to[r] = y[row + r] + first;
            const M* next = !part && first + PANEL < out ? w + std::ptrdiff_t(in) * PANEL : nullptr;
            product<T, M>(w, x + row, to, bias, in, next, count);
            row += count;
        }
}

}  // namespace
