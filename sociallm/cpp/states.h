// States that are read every token and hardly ever written: what the last FOLD tokens wrote lies beside them, until it is folded in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "matrices.h"

namespace {

constexpr int FOLD = LANES;

// States that take the same writes (one, or an author's own and its interlocutor's): each is decay · base + the sum of recent B x^T.
template <class T> struct States {
    int N, E, width, heads, count = 0, recent = 0;  // width: E filled up to whole panels
    T* base[2];                                     // [width / PANEL][N][PANEL]
    std::vector<T> decay, x, B;                     // [width], [FOLD][width] decayed to the present, [N][FOLD]

    void begin(int N_, int heads_, int head_width) {
        N = N_, heads = heads_, E = heads * head_width, width = up(E, PANEL);
        decay.assign(width, 1), x.assign(FOLD * width, 0), B.assign(FOLD * N, 0);
    }

    void add(T* room, const T* S_EN, const T* more_EN = nullptr) {  // a state to start from, or the sum of two
        base[count++] = room;
        for (int first = 0; first < width; first += PANEL, room += std::ptrdiff_t(N) * PANEL)
            for (int e = 0; e < PANEL; e++)
                for (int n = 0; n < N; n++) {
                    int at = (first + e) * N + n;
                    room[n * PANEL + e] = first + e < E ? S_EN[at] + (more_EN ? more_EN[at] : T(0)) : T(0);
                }
    }

    void fold() {
        for (int s = 0; s < count; s++) {
            T* S = base[s];
            for (int first = 0; first < width; first += PANEL)
                for (int n = 0; n < N; n++)
                    for (int e = first; e < first + PANEL; e += LANES, S += LANES) {
                        V<T> sum = load(S) * load(&decay[e]);
                        for (int t = 0; t < FOLD; t++) sum += B[n * FOLD + t] * load(&x[t * width + e]);
                        store(S, sum);
                    }
        }
        std::fill(decay.begin(), decay.end(), T(1));
        std::fill(B.begin(), B.end(), T(0));
        recent = 0;
    }

    // S <- a S + x B^T for every state, then y = S C; `a` and `written` are room for [width].
    void advance(const T* a_H, const T* x_E, const T* B_N, const T* C_N, T* a, T* written, T* const* y) {
        if (recent == FOLD) fold();
        std::copy(x_E, x_E + E, &x[recent * width]);
        for (int n = 0; n < N; n++) B[n * FOLD + recent] = B_N[n];
        V<T> heard = V<T>{}, odd = heard;  // C · B of each recent token
        for (int n = 0; n < N; n += 2) heard += C_N[n] * load(&B[n * FOLD]);
        for (int n = 1; n < N; n += 2) odd += C_N[n] * load(&B[n * FOLD]);
        heard += odd;
        for (int h = 0, e = 0; h < heads; h++)
            for (int end = e + E / heads; e < end; e++) a[e] = a_H[h], decay[e] *= a_H[h];
        for (int e = 0; e < width; e += LANES) {
            V<T> rate = load(a + e), sum = heard[recent] * load(&x[recent * width + e]);
            for (int t = 0; t < recent; t++) {
                V<T> decayed = load(&x[t * width + e]) * rate;
                store(&x[t * width + e], decayed);
                sum += heard[t] * decayed;
            }
            store(written + e, sum);
        }
        recent++;
        for (int s = 0; s < count; s++) {
            const T* key[1] = {C_N};
            T* to[1] = {y[s]};
            product_of<T, T, 1>(base[s], key, to, nullptr, N, width);
            for (int e = 0; e < width; e += LANES) store(y[s] + e, load(y[s] + e) * load(&decay[e]) + load(written + e));
        }
    }
};

}  // namespace
