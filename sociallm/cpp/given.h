// What Python hands over, and what this was made to expect: `decoding.py` has the same structures and constants, and `compiling.py` holds
// `agreed` against them when it opens the library.
#pragma once
#include <cstddef>
#include <cstdint>

constexpr int PANEL = 32;         // outputs of a matrix that lie together
constexpr int MOST_CHOICES = 64;  // likeliest tokens that may be drawn
constexpr int END = 0;            // the token that ends a message
constexpr int FREE = -1;          // in place of a forced token: the model's choice

extern "C" {

// A panel is [in][PANEL] numbers, panel after panel. Bias: as many numbers as panels have outputs, or none.
struct Matrix { const void* panels; const void* bias; int32_t in, out; };

// A local block and, where `social_heads` is not 0, a social one. `into` gives [z | convolved | step sizes], local before social.
struct Layer {
    int32_t heads, head_width, state, social_heads, social_head_width, social_state, summed, padding;
    double eps;
    Matrix into, out, read, social_out;
    const void *conv_KW, *conv_bias_W, *dt_bias_H, *minus_A_H, *skip_H;
};

struct Model {
    int32_t layers, D, V, conv;
    double eps;
    const void* embedding_VD;
    Matrix head;
    const Layer* layer;
};

// Rows first..last-1 of B. Tensors of all B rows, a row a column; states by pointer: [layer][B].
struct Task {
    int32_t B, first, last, ticks;
    double temperature, top_p;
    const int64_t *header_B, *begins_B, *most_B, *forced_TB;  // the first token, the tick after which the first word is said, how many there may be, what must be said
    const int64_t* group_B;  // whose candidate it is: 0 0 … 1 1 …
    const double* uniform_TB;
    const uint8_t *stops_V, *unsaid_V, *at_first_V;
    const void* const *local_LB;   // [H, P, N]
    const void* const *window_LB;  // [conv-1, E+2N]
    const void* const *own_LB;     // [social layer][B]: [H, P, N]
    const void* const *other_LB;
    int64_t* said_TB;
    void* nats_TB;
    void* logits_TBV;  // or null
    int32_t (*judge)(int32_t b);  // or null: whether a row that has ended will do
};

// No gaps, and pointers of eight bytes: else the two sides would read different things.
static_assert(sizeof(void*) == 8 && sizeof(double) == 8);
static_assert(sizeof(Matrix) == 24 && offsetof(Matrix, in) == 16);
static_assert(sizeof(Layer) == 176 && offsetof(Layer, eps) == 32 && offsetof(Layer, into) == 40 && offsetof(Layer, conv_KW) == 136);
static_assert(sizeof(Model) == 64 && offsetof(Model, eps) == 16 && offsetof(Model, head) == 32 && offsetof(Model, layer) == 56);
static_assert(sizeof(Task) == 168 && offsetof(Task, temperature) == 16 && offsetof(Task, header_B) == 32 && offsetof(Task, judge) == 160);

extern const int32_t agreed[8];
extern const char made_by[];
const int32_t agreed[8] = {PANEL, MOST_CHOICES, END, FREE, sizeof(Matrix), sizeof(Layer), sizeof(Model), sizeof(Task)};

// What rounding depends on besides this code: which products and sums a compiler makes one operation of.
#if defined(__clang__)
#define MAKER __VERSION__
#else
#define MAKER "g++ " __VERSION__
#endif
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
const char made_by[] = MAKER ", fma";
#else
const char made_by[] = MAKER;
#endif

}
