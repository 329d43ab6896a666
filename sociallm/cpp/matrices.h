// Products of a matrix with several rows: panel after panel, so that each is read once and stays in the nearest cache. A row's sums run
// in the same order however many rows go with it.
#pragma once
#include <cstddef>

#include "given.h"
#include "vectors.h"

namespace {

constexpr int MOST_ROWS = 12;  // multiplied at once: their sums fill the registers

static_assert(PANEL % LANES == 0);

// y = W x + bias of one panel's outputs for R rows, as many vectors of them at a time as there are registers for.
template <class T, class M, int R> void product_of(const M* w, const T* const* x, T* const* y, const T* bias, int in) {
    constexpr int C = R <= 6 ? PANEL / LANES : PANEL / LANES / 2;
    for (int part = 0; part < PANEL; part += C * LANES) {
        V<T> sum[R][C];
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) sum[r][c] = bias ? load(bias + part + c * LANES) : V<T>{};
        for (int k = 0; k < in; k++) {
            V<T> column[C];
            for (int c = 0; c < C; c++) column[c] = load_as<T>(w + k * PANEL + part + c * LANES);
            for (int r = 0; r < R; r++)
                for (int c = 0; c < C; c++) sum[r][c] += x[r][k] * column[c];
        }
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) store(y[r] + part + c * LANES, sum[r][c]);
    }
}

template <class T, class M> void product(const M* w, const T* const* x, T* const* y, const T* bias, int in, int rows) {
    switch (rows) {
        case 1: return product_of<T, M, 1>(w, x, y, bias, in);
        case 2: return product_of<T, M, 2>(w, x, y, bias, in);
        case 3: return product_of<T, M, 3>(w, x, y, bias, in);
        case 4: return product_of<T, M, 4>(w, x, y, bias, in);
        case 5: return product_of<T, M, 5>(w, x, y, bias, in);
        case 6: return product_of<T, M, 6>(w, x, y, bias, in);
        case 7: return product_of<T, M, 7>(w, x, y, bias, in);
        case 8: return product_of<T, M, 8>(w, x, y, bias, in);
        case 9: return product_of<T, M, 9>(w, x, y, bias, in);
        case 10: return product_of<T, M, 10>(w, x, y, bias, in);
        case 11: return product_of<T, M, 11>(w, x, y, bias, in);
        case 12: return product_of<T, M, 12>(w, x, y, bias, in);
    }
}

// y = W x + bias for every row, W of panels with `in` inputs; panels outermost, so that one is still near when the next few rows want it.
template <class T, class M> void apply(const M* w, const T* bias, int in, int out, const T* const* x, T* const* y, int rows) {
    int parts = (rows + MOST_ROWS - 1) / MOST_ROWS;
    T* to[MOST_ROWS];
    for (int first = 0; first < out; first += PANEL, w += std::ptrdiff_t(in) * PANEL, bias = bias ? bias + PANEL : bias)
        for (int part = 0, row = 0; part < parts; part++) {
            int count = rows / parts + (part < rows % parts);
            for (int r = 0; r < count; r++) to[r] = y[row + r] + first;
            product<T, M>(w, x + row, to, bias, in, count);
            row += count;
        }
}

}  // namespace
