// Products of a matrix with several rows: panel after panel, so that each is read once and stays in the nearest cache. A row's sums run
// in the same order however many rows go with it.
#pragma once
#include <cstddef>

#include "given.h"
#include "vectors.h"

namespace {

constexpr int MOST_ROWS = 6;  // multiplied at once: their sums fill the registers

static_assert(PANEL % LANES == 0);

template <class T, class M, int R> void product_of(const M* w, const T* const* x, T* const* y, const T* bias, int in, int out) {
    constexpr int C = PANEL / LANES;
    for (int first = 0; first < out; first += PANEL, w += std::ptrdiff_t(in) * PANEL) {
        V<T> sum[R][C];
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) sum[r][c] = bias ? load(bias + first + c * LANES) : V<T>{};
        for (int k = 0; k < in; k++) {
            V<T> column[C];
            for (int c = 0; c < C; c++) column[c] = load_as<T>(w + k * PANEL + c * LANES);
            for (int r = 0; r < R; r++)
                for (int c = 0; c < C; c++) sum[r][c] += x[r][k] * column[c];
        }
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) store(y[r] + first + c * LANES, sum[r][c]);
    }
}

template <class T, class M> void product(const M* w, const T* const* x, T* const* y, const T* bias, int in, int out, int rows) {
    switch (rows) {
        case 1: return product_of<T, M, 1>(w, x, y, bias, in, out);
        case 2: return product_of<T, M, 2>(w, x, y, bias, in, out);
        case 3: return product_of<T, M, 3>(w, x, y, bias, in, out);
        case 4: return product_of<T, M, 4>(w, x, y, bias, in, out);
        case 5: return product_of<T, M, 5>(w, x, y, bias, in, out);
        case 6: return product_of<T, M, 6>(w, x, y, bias, in, out);
    }
}

// y = W x + bias for every row; panels outermost, so that one is still near when the next few rows want it.
template <class T, class M> void apply(const Matrix& m, const T* const* x, T* const* y, int rows) {
    const M* w = (const M*)m.panels;
    const T* bias = (const T*)m.bias;
    int parts = (rows + MOST_ROWS - 1) / MOST_ROWS;
    T* to[MOST_ROWS];
    for (int first = 0; first < m.out; first += PANEL, w += std::ptrdiff_t(m.in) * PANEL, bias = bias ? bias + PANEL : bias)
        for (int part = 0, row = 0; part < parts; part++) {
            int count = rows / parts + (part < rows % parts);
            for (int r = 0; r < count; r++) to[r] = y[row + r] + first;
            product<T, M>(w, x + row, to, bias, m.in, PANEL, count);
            row += count;
        }
}

}  // namespace
