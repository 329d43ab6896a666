// The step of `blocks.py` and `model.py`: one token for every row, from its embedding to the logits of the next.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "rows.h"

namespace {

// The convolution over the last `conv` inputs, then SiLU; the oldest input falls out.
template <class T> void convolve(const Layer& l, int conv, const T* fresh, std::vector<T>& window, T* out) {
    int W = convolved_of(l), i = 0;
    const T *weight = (const T*)l.conv_KW, *bias = (const T*)l.conv_bias_W;
    std::memmove(window.data(), window.data() + W, sizeof(T) * W * (conv - 1));
    std::copy(fresh, fresh + W, window.data() + std::size_t(conv - 1) * W);
    for (; i + LANES <= W; i += LANES) {
        V<T> sum = load(bias + i);
        for (int k = 0; k < conv; k++) sum += load(&window[k * W + i]) * load(weight + k * W + i);
        store(out + i, silu(sum));
    }
    for (; i < W; i++) {
        T sum = bias[i];
        for (int k = 0; k < conv; k++) sum += window[k * W + i] * weight[k * W + i];
        out[i] = sum / (1 + std::exp(-sum));
    }
}

template <class T> void gate(T* y, const T* z, int n) {  // y silu(z); both have room for whole vectors
    for (int i = 0; i < n; i += LANES) store(y + i, load(y + i) * silu(load(z + i)));
}

template <class F> void by_head(int heads, int width, F f) {
    for (int h = 0; h < heads; h++)
        for (int p = 0; p < width; p++) f(h, h * width + p);
}

// Both blocks of a layer from their first matrices to what their states take in.
template <class T> void write(const Model& m, int i, Row<T>& row) {
    const Layer& l = m.layer[i];
    int E = inner_of(l), inner = social_inner_of(l), W = convolved_of(l);
    const T *z = row.projected.data(), *dt_bias = (const T*)l.dt_bias_H, *minus_A = (const T*)l.minus_A_H;
    convolve<T>(l, m.conv, z + E, row.window[i], row.conv.data());
    for (int h = 0; h < l.heads + l.social_heads; h++) {
        row.dt[h] = softplus<T>(z[E + W + h] + dt_bias[h]);
        row.a[h] = std::exp(row.dt[h] * minus_A[h]);
    }
    const T* c = row.conv.data();
    T* x = row.x.data();
    by_head(l.heads, l.head_width, [&](int h, int e) { x[e] = c[e] * row.dt[h]; });
    row.local[i].write(row.a.data(), x, c + E, c + E + l.state, row.rate.data(), row.written.data());
    if (!l.social_heads) return;
    c += seen_of(l);
    by_head(l.social_heads, l.social_head_width, [&](int h, int e) { x[e] = c[e] * row.dt[l.heads + h]; });
    row.social[i].write(&row.a[l.heads], x, c + inner, row.query.data(), row.rate.data(), row.social_written.data());
}

// base · C of one state for every row: those that share a base read it together.
template <class T> void look_up(const Rows<T>& rows, int N, int width, const std::vector<const T*>& base, const std::vector<const T*>& C, const std::vector<T*>& y) {
    for (int first = 0, last; first < int(rows.size()); first = last) {
        for (last = first + 1; last < int(rows.size()) && base[last] == base[first];) last++;
        apply<T, T>(base[first], nullptr, N, width, &C[first], &y[first], last - first);
    }
}

// What all rows read of their states in a layer: the local one into `unit`, the social ones into `own` and `other`.
template <class T> void look_up(const Model& m, int i, const Rows<T>& rows) {
    const Layer& l = m.layer[i];
    std::vector<const T*> base(rows.size()), C(rows.size());
    std::vector<T*> y(rows.size());
    for (int s = -1; s < (l.social_heads ? rows[0]->social[i].count : 0); s++) {
        for (std::size_t r = 0; r < rows.size(); r++) {
            Row<T>& row = *rows[r];
            base[r] = s < 0 ? row.local[i].base.get() : row.social[i].base.get() + s * row.social[i].size();
            C[r] = s < 0 ? row.conv.data() + inner_of(l) + l.state : row.query.data();
            y[r] = s < 0 ? row.unit.data() : s ? row.other.data() : row.own.data();
        }
        const States<T>& of = s < 0 ? rows[0]->local[i] : rows[0]->social[i];
        look_up<T>(rows, of.N, of.width, base, C, y);
    }
}

// Both blocks of a layer up to their last matrices: the local one's output in `unit`, the social one's in `views`.
template <class T> void read(const Model& m, int i, Row<T>& row) {
    const Layer& l = m.layer[i];
    int E = inner_of(l), inner = social_inner_of(l);
    const T *c = row.conv.data(), *skip = (const T*)l.skip_H;
    T* y = row.unit.data();
    row.local[i].read(y, row.written.data());
    by_head(l.heads, l.head_width, [&](int h, int e) { y[e] += skip[h] * c[e]; });
    gate(y, row.projected.data(), E);
    unit<T>(y, y, E, T(m.eps));
    if (!l.social_heads) return;
    T* seen[2] = {row.own.data(), row.other.data()};
    for (int s = 0; s < row.social[i].count; s++) {
        row.social[i].read(seen[s], row.social_written.data());
        for (int e = 0; e < inner; e += l.social_head_width) unit<T>(seen[s] + e, &row.views[s * inner + e], l.social_head_width, T(l.eps));
    }
    gate(row.views.data(), row.query.data() + l.social_state, row.social[i].count * inner);
}

template <class T> using Part = std::vector<T> Row<T>::*;

template <class T, class M> void apply_to(const Matrix& matrix, const Rows<T>& rows, Part<T> from, Part<T> to) {
    std::vector<const T*> x;
    std::vector<T*> y;
    for (auto& row : rows) x.push_back(((*row).*from).data()), y.push_back(((*row).*to).data());
    apply<T, M>((const M*)matrix.panels, (const T*)matrix.bias, matrix.in, matrix.out, x.data(), y.data(), int(rows.size()));
}

// One token for every row, from `token` to `logits`.
template <class T, class M> void step(const Model& m, const Rows<T>& rows) {
    for (auto& row : rows) {
        std::copy_n((const T*)m.embedding_VD + std::ptrdiff_t(row->token) * m.D, m.D, row->p.data());
        std::fill(row->r.begin(), row->r.end(), T(0));
    }
    auto norm = [&](bool whole) {
        for (auto& row : rows) {
            for (int d = 0; d < m.D; d++) row->added[d] = whole ? row->p[d] + row->r[d] : row->p[d];
            unit<T>(row->added.data(), row->unit.data(), m.D, T(m.eps));
        }
    };
    auto add = [&](Part<T> stream) {
        for (auto& row : rows)
            for (int d = 0; d < m.D; d++) ((*row).*stream)[d] += row->added[d];
    };
    for (int i = 0; i < m.layers; i++) {
        const Layer& l = m.layer[i];
        norm(false);
        apply_to<T, M>(l.into, rows, &Row<T>::unit, &Row<T>::projected);
        if (l.social_heads) {
            norm(true);
            apply_to<T, M>(l.read, rows, &Row<T>::unit, &Row<T>::query);
        }
        for (auto& row : rows) write<T>(m, i, *row);
        look_up<T>(m, i, rows);
        for (auto& row : rows) read<T>(m, i, *row);
        apply_to<T, M>(l.out, rows, &Row<T>::unit, &Row<T>::added);
        add(&Row<T>::p);
        if (!l.social_heads) continue;
        apply_to<T, M>(l.social_out, rows, &Row<T>::views, &Row<T>::added);
        add(&Row<T>::r);
    }
    norm(true);
    apply_to<T, M>(m.head, rows, &Row<T>::unit, &Row<T>::logits);
}

}  // namespace
