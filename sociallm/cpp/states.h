// States that are read every token and hardly ever written: what the last FOLD tokens wrote lies beside them, until it is folded in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "matrices.h"

namespace {

constexpr int FOLD = LANES;

// States that take the same writes (one, or an author's own and its interlocutor's): each is decay · base + the sum of recent B x^T.
template <class T> struct States {
    int N, E, width, heads, count = 0, recent = 0;  // width: E filled up to whole panels
    std::shared_ptr<T[]> base;                      // [count][width / PANEL][N][PANEL]; of rows that were one until lately the same, till they fold
    std::vector<T> decay, x, B;                     // [width], [FOLD][width] decayed to the present, [N][FOLD]

    void begin(int N_, int heads_, int head_width) {
        N = N_, heads = heads_, E = heads * head_width, width = up(E, PANEL);
        decay.assign(width, 1), x.assign(FOLD * width, 0), B.assign(FOLD * N, 0);
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

    void fold() {
        std::shared_ptr<T[]> own = base.use_count() == 1 ? base : std::shared_ptr<T[]>(new T[2 * size()]);
        const T* S = base.get();
        T* to = own.get();
        for (int s = 0; s < count; s++)
            for (int first = 0; first < width; first += PANEL)
                for (int n = 0; n < N; n++)
                    for (int e = first; e < first + PANEL; e += LANES, S += LANES, to += LANES) {
                        V<T> sum = load(S) * load(&decay[e]);
                        for (int t = 0; t < FOLD; t++) sum += B[n * FOLD + t] * load(&x[t * width + e]);
                        store(to, sum);
                    }
        base = own;
        std::fill(decay.begin(), decay.end(), T(1));
        std::fill(B.begin(), B.end(), T(0));
        recent = 0;
    }

    // S <- a S + x B^T for every state; in `written` what S C has of recent tokens. `a` and `written` are room for [width].
    void write(const T* a_H, const T* x_E, const T* B_N, const T* C_N, T* a, T* written) {
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
    }

    // y = S C of one state, `y` being base · C.
    void read(T* y, const T* written) const {
        for (int e = 0; e < width; e += LANES) store(y + e, load(y + e) * load(&decay[e]) + load(written + e));
    }
};

}  // namespace
