// One message for each of several rows, token by token: the step of `blocks.py` and the draw of `generate.py`, for one core.
//
// `compiling.py` makes one library of this file and the headers it includes, when it is first needed; `decoding.py` hands it rearranged
// weights, and gives every core messages of its own. What a row says does not depend on the others, to the last bit: each of its sums runs in
// the same order however many rows go with it.
//
// Five things make it fast. A matrix is read once for up to twelve tokens, in panels of 32 outputs that stay in the nearest cache while the
// next comes. Tokens that a row must say are known beforehand, and fed together. Messages that start from the same states are one row until
// they part, and share what they wrote as one, and the states until they fold. A state is read once a token and hardly ever written: what the
// last FOLD tokens wrote lies beside it, and is folded in when they are full; the two social states, which take the same writes, share them.
// And what is not needed is not done: candidates that can no longer be taken are given up.
//
// Letters: D model width, V vocabulary, W convolved channels, K width of a convolution, E = heads · head width, H heads, N state width.
// A state lies as a matrix from N to E, so that reading it is a product like any other. Widths are filled up with zeros to multiples of LANES.
#include "saying.h"

namespace {

template <class T, class M> void say(const Model& m, const Task& t) {
    Flushing small(true);
    Saying<T, M> saying(m, t);
    while (!saying.over()) saying.go_on();
}

}  // namespace

extern "C" {
void say_float32(const Model* m, const Task* t) { say<float, float>(*m, *t); }
void say_float16(const Model* m, const Task* t) { say<float, Half>(*m, *t); }
void say_float64(const Model* m, const Task* t) { say<double, double>(*m, *t); }
}
