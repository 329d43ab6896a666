// The step of `blocks.py` and `model.py`, from embeddings to the logits of what follows: of one token for every row, or of several that
// are known beforehand. Matrices take them all at once; convolutions and states one after another.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "rows.h"

namespace {

// A token on its way through the layers.
template <class T> struct Fed {
    Row<T>* row = nullptr;
    int token = 0;
    bool predicts = true;  // whether what follows is asked for
    std::vector<T> p, r, unit, projected, conv, query, views, added, dt, a, own, other, logits;

    explicit Fed(const Model& m) {
        int projected_most = 0, widest = m.D, heads = 0;
        for (int i = 0; i < m.layers; i++) {
            const Layer& l = m.layer[i];
            projected_most = std::max({projected_most, l.into.out, l.read.out});
            widest = std::max({widest, inner_of(l), 2 * social_inner_of(l)});
            heads = std::max(heads, l.heads + l.social_heads);
        }
        for (auto* v : {&p, &r, &unit, &views, &added, &own, &other}) v->assign(widest + PANEL, 0);
        for (auto* v : {&projected, &conv, &query}) v->assign(projected_most + PANEL, 0);
        for (auto* v : {&dt, &a}) v->assign(heads, 0);
        logits.assign(up(m.V, PANEL), 0);
    }
};

// What is fed at once: tokens of one row one after another, in their order.
template <class T> using Feed = std::vector<Fed<T>*>;

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

// Both blocks of a layer from their first matrices to what their states will take in.
template <class T> void convolve(const Model& m, int i, Fed<T>& one) {
    const Layer& l = m.layer[i];
    int E = inner_of(l), W = convolved_of(l);
    const T *z = one.projected.data(), *dt_bias = (const T*)l.dt_bias_H, *minus_A = (const T*)l.minus_A_H;
    convolve<T>(l, m.conv, z + E, one.row->window[i], one.conv.data());
    for (int h = 0; h < l.heads + l.social_heads; h++) {
        one.dt[h] = softplus<T>(z[E + W + h] + dt_bias[h]);
        one.a[h] = std::exp(one.dt[h] * minus_A[h]);
    }
}

// base · C of one state for every token: those that share a base read it together.
template <class T> void look_up(int N, int width, const std::vector<const T*>& base, const std::vector<const T*>& C, const std::vector<T*>& y) {
    for (int first = 0, last; first < int(base.size()); first = last) {
        for (last = first + 1; last < int(base.size()) && base[last] == base[first];) last++;
        apply<T, T>(base[first], nullptr, N, width, &C[first], &y[first], last - first);
    }
}

// What all tokens read of their states in a layer: the local one into `unit`, the social ones into `own` and `other`.
template <class T> void look_up(const Model& m, int i, const Feed<T>& feed) {
    const Layer& l = m.layer[i];
    std::vector<const T*> base(feed.size()), C(feed.size());
    std::vector<T*> y(feed.size());
    for (int s = -1; s < (l.social_heads ? feed[0]->row->social[i].count : 0); s++) {
        for (std::size_t f = 0; f < feed.size(); f++) {
            Fed<T>& one = *feed[f];
            base[f] = s < 0 ? one.row->local[i].base.get() : one.row->social[i].base.get() + s * one.row->social[i].size();
            C[f] = s < 0 ? one.conv.data() + inner_of(l) + l.state : one.query.data();
            y[f] = s < 0 ? one.unit.data() : s ? one.other.data() : one.own.data();
        }
        const States<T>& of = s < 0 ? feed[0]->row->local[i] : feed[0]->row->social[i];
        look_up<T>(of.N, of.width, base, C, y);
    }
}

// Room that the states' own step needs.
template <class T> struct Scratch { std::vector<T> x, written; };

// What a token writes to one state, and what the state then has of recent tokens, in `written`.
template <class T> void write(States<T>& state, const T* seen, const T* dt, const T* a, const T* B, const T* C, Scratch<T>& scratch) {
    for (auto* v : {&scratch.x, &scratch.written}) v->resize(std::max<std::size_t>(v->size(), state.width));
    for (int h = 0, e = 0; h < state.heads; h++)
        for (int end = e + state.E / state.heads; e < end; e++) scratch.x[e] = seen[e] * dt[h];
    state.write(a, scratch.x.data(), B, C, scratch.written.data());
}

// Both blocks of a layer from what they looked up to their last matrices: the local one's output in `unit`, the social one's in `views`.
template <class T> void read(const Model& m, int i, Fed<T>& one, Scratch<T>& scratch) {
    const Layer& l = m.layer[i];
    int E = inner_of(l), inner = social_inner_of(l);
    const T *c = one.conv.data(), *skip = (const T*)l.skip_H;
    T* y = one.unit.data();
    write<T>(one.row->local[i], c, one.dt.data(), one.a.data(), c + E, c + E + l.state, scratch);
    one.row->local[i].read(y, scratch.written.data());
    for (int h = 0, e = 0; h < l.heads; h++)
        for (int end = e + l.head_width; e < end; e++) y[e] += skip[h] * c[e];
    gate(y, one.projected.data(), E);
    unit<T>(y, y, E, T(m.eps));
    if (!l.social_heads) return;
    c += seen_of(l);
    write<T>(one.row->social[i], c, &one.dt[l.heads], &one.a[l.heads], c + inner, one.query.data(), scratch);
    T* seen[2] = {one.own.data(), one.other.data()};
    for (int s = 0; s < one.row->social[i].count; s++) {
        one.row->social[i].read(seen[s], scratch.written.data());
        for (int e = 0; e < inner; e += l.social_head_width) unit<T>(seen[s] + e, &one.views[s * inner + e], l.social_head_width, T(l.eps));
    }
    gate(one.views.data(), one.query.data() + l.social_state, one.row->social[i].count * inner);
}

template <class T> using Part = std::vector<T> Fed<T>::*;

template <class T, class M> void apply_to(const Matrix& matrix, const Feed<T>& feed, Part<T> from, Part<T> to) {
    std::vector<const T*> x;
    std::vector<T*> y;
    for (Fed<T>* one : feed) x.push_back((one->*from).data()), y.push_back((one->*to).data());
    apply<T, M>((const M*)matrix.panels, (const T*)matrix.bias, matrix.in, matrix.out, x.data(), y.data(), int(feed.size()));
}

// From every token to `logits`, where they are asked for.
template <class T, class M> void step(const Model& m, const Feed<T>& feed) {
    Scratch<T> scratch;
    for (Fed<T>* one : feed) {
        std::copy_n((const T*)m.embedding_VD + std::ptrdiff_t(one->token) * m.D, m.D, one->p.data());
        std::fill(one->r.begin(), one->r.end(), T(0));
    }
    auto norm = [&](bool whole) {
        for (Fed<T>* one : feed) {
            for (int d = 0; d < m.D; d++) one->added[d] = whole ? one->p[d] + one->r[d] : one->p[d];
            unit<T>(one->added.data(), one->unit.data(), m.D, T(m.eps));
        }
    };
    auto add = [&](Part<T> stream) {
        for (Fed<T>* one : feed)
            for (int d = 0; d < m.D; d++) (one->*stream)[d] += one->added[d];
    };
    for (int i = 0; i < m.layers; i++) {
        const Layer& l = m.layer[i];
        norm(false);
        apply_to<T, M>(l.into, feed, &Fed<T>::unit, &Fed<T>::projected);
        if (l.social_heads) {
            norm(true);
            apply_to<T, M>(l.read, feed, &Fed<T>::unit, &Fed<T>::query);
        }
        for (Fed<T>* one : feed) {
            convolve<T>(m, i, *one);
            one->row->local[i].make_room();
            if (l.social_heads) one->row->social[i].make_room();
        }
        look_up<T>(m, i, feed);
        for (Fed<T>* one : feed) read<T>(m, i, *one, scratch);
        apply_to<T, M>(l.out, feed, &Fed<T>::unit, &Fed<T>::added);
        add(&Fed<T>::p);
        if (!l.social_heads) continue;
        apply_to<T, M>(l.social_out, feed, &Fed<T>::views, &Fed<T>::added);
        add(&Fed<T>::r);
    }
    Feed<T> asked;
    for (Fed<T>* one : feed)
        if (one->predicts) asked.push_back(one);
    if (asked.empty()) return;
    norm(true);
    apply_to<T, M>(m.head, asked, &Fed<T>::unit, &Fed<T>::logits);
}

}  // namespace
