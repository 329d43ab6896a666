// One message for each of several rows, token by token: the step of `blocks.py` and the draw of `generate.py`, for one core.
//
// `compiling.py` makes one library of this file and the headers it includes, when it is first needed; `decoding.py` hands it rearranged
// weights, and gives every core rows of its own. What a row says does not depend on the others, to the last bit: each of its sums runs in
// the same order however many rows go with it.
//
// Four things make it fast. A matrix is read once for up to twelve rows, in panels of 64 outputs that stay in the nearest caches. Messages
// that start from the same states are one row until they part, and share the states until they fold. A state is read once a token and hardly
// ever written: what the last FOLD tokens wrote lies beside it, and is folded in when they are full; the two social states, which take
// the same writes, share them. And a token costs no call from Python.
//
// Letters: D model width, V vocabulary, W convolved channels, K width of a convolution, E = heads · head width, H heads, N state width.
// A state lies as a matrix from N to E, so that reading it is a product like any other. Widths are filled up with zeros to multiples of LANES.
#include <algorithm>
#include <vector>

#include "blocks.h"
#include "choosing.h"

namespace {

template <class T, class M> void say(const Model& m, const Task& t) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // numbers too small to matter count as 0: they would be slow
#endif
    Rows<T> rows, next;
    for (int b = t.first; b < t.last; b++) {
        auto same = std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return alike<T>(m, t, row->messages[0], b); });
        if (same != rows.end()) { (*same)->messages.push_back(b); continue; }
        rows.push_back(std::make_unique<Row<T>>());
        begin(m, t, b, *rows.back());
    }
    for (int at = 0; at < t.ticks && !rows.empty(); at++) {
        step<T, M>(m, rows);
        for (auto& row : rows) choose(m, t, at, next, std::move(row));
        rows = std::move(next), next.clear();
    }
#if defined(__x86_64__)
    _mm_setcsr(before);
#endif
}

}  // namespace

extern "C" {
void say_float32(const Model* m, const Task* t) { say<float, float>(*m, *t); }
void say_float16(const Model* m, const Task* t) { say<float, Half>(*m, *t); }
void say_float64(const Model* m, const Task* t) { say<double, double>(*m, *t); }
}
