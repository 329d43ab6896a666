// States that are read every token and hardly ever written: what the last tokens wrote lies beside them, until it is folded in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "matrices.h"

namespace {

constexpr int FOLD = 48;  // tokens beside a state: most messages are over before

// States that take the same writes (one, or an author's own and its interlocutor's): each is decay · base + the sum of recent left · x B^T.
// Rows that were one until lately share what they wrote as one, and the base till they fold.
template <class T> struct States {
    int N, E, width, heads, head_width, count = 0;  // width: E filled up to whole panels
    std::shared_ptr<T[]> base;                      // [count][width / PANEL][N][PANEL]
    std::vector<std::shared_ptr<T[]>> recent;       // by token: x [width], B [N]
    std::vector<T> decay, left;                     // [heads] since the last fold, [FOLD][heads] since a token

    void begin(int N_, int heads_, int head_width_) {
        N = N_, heads = heads_, head_width = head_width_, E = heads * head_width, width = up(E, PANEL);
        decay.assign(heads, 1), left.assign(FOLD * heads, 0);
        base.reset(new T[2 * size()]);
    }

    std::ptrdiff_t size() const { return std::ptrdiff_t(N) * width; }

    void add(const T* S_EN, const T* more_EN = nullptr) {  // a state to start from, or the sum of two
        T* room = base.get() + size() * count++;
        for (int first = 0; first < width; first += PANEL, room += std::ptrdiff_t(N) * PANEL)
            for (int e = 0; e < PANEL; e++)
                for (int n = 0; n < N; n++) {
                    int at = (first + e) * N + n;
                    room[n * PANEL + e] = first + e < E ? S_EN[at] + (more_EN ? more_EN[at] : T(0)) : T(0);
                }
    }

    // What each of LANES channels from `e` on has of a number that every head has.
    V<T> spread(const T* of_H, int e) const {
        if (head_width % LANES == 0) return V<T>{} + of_H[std::min(e, E - 1) / head_width];
        V<T> v;
        for (int k = 0; k < LANES; k++) v[k] = of_H[std::min(e + k, E - 1) / head_width];
        return v;
    }

    int room() const { return full() ? FOLD : FOLD - int(recent.size()); }  // tokens that may be fed at once
    bool full() const { return recent.size() == FOLD; }

    // Before a token is looked up: room for what it will write.
    void make_room() {
        if (full()) fold();
    }

    void fold() {
        std::shared_ptr<T[]> own = base.use_count() == 1 ? base : std::shared_ptr<T[]>(new T[2 * size()]);
        const T* S = base.get();
        T* to = own.get();
        std::vector<T> x(FOLD * width);
        for (int t = 0; t < FOLD; t++)
            for (int e = 0; e < width; e += LANES) store(&x[t * width + e], load(&recent[t][e]) * spread(&left[t * heads], e));
        for (int s = 0; s < count; s++)
            for (int first = 0; first < width; first += PANEL)
                for (int n = 0; n < N; n++)
                    for (int e = first; e < first + PANEL; e += LANES, S += LANES, to += LANES) {
                        V<T> sum = load(S) * spread(decay.data(), e);
                        for (int t = 0; t < FOLD; t++) sum += recent[t][width + n] * load(&x[t * width + e]);
                        store(to, sum);
                    }
        base = own;
        std::fill(decay.begin(), decay.end(), T(1));
        recent.clear();
    }

    // S <- a S + x B^T for every state, where there is room; in `written`, room for [width], what S C has of recent tokens.
    void write(const T* a_H, const T* x_E, const T* B_N, const T* C_N, T* written) {
        int n = int(recent.size());
        for (int i = 0; i < n * heads; i += heads)
            for (int h = 0; h < heads; h++) left[i + h] *= a_H[h];
        for (int h = 0; h < heads; h++) left[n * heads + h] = 1, decay[h] *= a_H[h];
        recent.emplace_back(new T[width + up(N, LANES)]());
        std::copy(x_E, x_E + E, recent[n].get()), std::copy(B_N, B_N + N, &recent[n][width]);
        std::vector<T> weight(++n * heads), C(up(N, LANES));  // of a token: what is left of it, times C · B
        std::copy(C_N, C_N + N, C.data());
        const T* x[FOLD];
        for (int t = 0; t < n; t++) {
            V<T> heard = V<T>{};
            x[t] = recent[t].get();
            for (int i = 0; i < int(C.size()); i += LANES) heard += load(&C[i]) * load(x[t] + width + i);
            T sum = total<T>(heard);
            for (int h = 0; h < heads; h++) weight[t * heads + h] = sum * left[t * heads + h];
        }
        int e = 0;
        for (; e + 4 * PANEL <= width; e += 4 * PANEL) sum_of<8>(e, n, weight.data(), x, written);
        for (; e < width; e += PANEL) sum_of<2>(e, n, weight.data(), x, written);
    }

    // Σ weight · x of n tokens, for C vectors of channels.
    template <int C> void sum_of(int first, int n, const T* weight, const T* const* x, T* written) const {
        V<T> sum[C] = {};
        if (head_width % PANEL == 0) {
            const T* of[C];
            for (int c = 0; c < C; c++) of[c] = weight + std::min(first + c * LANES, E - 1) / head_width;
            for (int t = 0, H = heads; t < n; t++)
                for (int c = 0; c < C; c++) sum[c] += of[c][t * H] * load(x[t] + first + c * LANES);
        } else {
            for (int t = 0; t < n; t++)
                for (int c = 0; c < C; c++) sum[c] += spread(weight + t * heads, first + c * LANES) * load(x[t] + first + c * LANES);
        }
        for (int c = 0; c < C; c++) store(written + first + c * LANES, sum[c]);
    }

    // y = S C of one state, `y` being base · C.
    void read(T* y, const T* written) const {
        for (int e = 0; e < width; e += LANES) store(y + e, load(y + e) * spread(decay.data(), e) + load(written + e));
    }
};

}  // namespace
