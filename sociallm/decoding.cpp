// One message for each of several rows, token by token: the step of `blocks.py` and the draw of `generate.py`, for one core.
//
// `decoding.py` compiles this file when it is first needed, hands it rearranged weights, and gives every core rows of its own.
// What a row says does not depend on the others, to the last bit: each of its sums runs in the same order however many rows go with it.
//
// Three things make it fast. A matrix is read once for up to six rows, in panels of 64 outputs that stay in the nearest cache. A state
// is read once a token and hardly ever written: what the last FOLD tokens wrote lies beside it, and is folded in when they are full;
// the two social states, which take the same writes, share them. And a token costs no call from Python.
//
// Letters: D model width, V vocabulary, W convolved channels, E = heads · head width, H heads, N state width. A state lies as a matrix
// from N to E, so that reading it is a product like any other. Widths are filled up with zeros to multiples of LANES.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>
#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // in its own header
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16, PANEL = 64, MOST_ROWS = 6, FOLD = LANES, MOST_CHOICES = 64, END = 0, FREE = -1;

constexpr int up(int n, int to) { return (n + to - 1) / to * to; }

// ---- vectors of LANES numbers -------------------------------------------------------------------------------------------

template <class T> struct Lanes { typedef T type __attribute__((vector_size(LANES * sizeof(T)))); };
template <class T> using V = typename Lanes<T>::type;

struct Half { uint16_t bits; };

template <class T> V<T> load(const T* from) { V<T> v; std::memcpy(&v, from, sizeof v); return v; }
template <class T> void store(T* to, V<T> v) { std::memcpy(to, &v, sizeof v); }

V<float> wide(const Half* from) {  // exact
    V<float> v;
#if defined(__AVX512F__)
    __m512 all = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
    std::memcpy(&v, &all, sizeof v);
#elif defined(__F16C__)
    for (int part = 0; part < 2; part++) {
        __m256 eight = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from + part));
        std::memcpy((char*)&v + 32 * part, &eight, 32);
    }
#else
    for (int i = 0; i < LANES; i++) {
        uint32_t rest = uint32_t(from[i].bits & 0x7fff) << 13;
        float size;
        std::memcpy(&size, &rest, 4);
        size *= 5.192296858534828e33f;  // 2^112, the distance of the exponents' zeros
        v[i] = from[i].bits & 0x8000 ? -size : size;
    }
#endif
    return v;
}

template <class T, class M> V<T> load_as(const M* from) {
    if constexpr (std::is_same_v<T, M>) return load(from);
    else return wide(from);
}

template <class T> T total(V<T> v) { T s = 0; for (int i = 0; i < LANES; i++) s += v[i]; return s; }

V<double> exponential(V<double> x) { for (int i = 0; i < LANES; i++) x[i] = std::exp(x[i]); return x; }

// e^x = 2^k e^r with |r| <= ln 2 / 2, ln 2 in two parts, e^r by its series to r^7: relative error below 2e-7.
V<float> exponential(V<float> x) {
    typedef int32_t I __attribute__((vector_size(LANES * 4)));
    const V<float> low = V<float>{} - 87.0f, high = V<float>{} + 88.0f;
    x = x < low ? low : x > high ? high : x;
    V<float> shifted = x * 1.44269504088896341f + 12582912.0f, k = shifted - 12582912.0f;  // 1.5 · 2^23: rounds to an integer
    V<float> r = x - k * 0.693145751953125f - k * 1.42860682030941723e-6f;
    V<float> p = r * (1.0f / 5040) + 1.0f / 720;
    for (float c : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + c;
    I bits;
    V<float> power;
    I whole = __builtin_convertvector(k, I);
    bits = (whole + 127) << 23;
    std::memcpy(&power, &bits, sizeof bits);
    return p * power;
}

template <class Vector> Vector silu(Vector x) { return x / (exponential(-x) + decltype(x[0] + x[0])(1)); }

template <class T> T softplus(T x) { return x > 20 ? x : std::log1p(std::exp(x)); }

template <class T> T square_mean(const T* x, int n) {
    V<T> sum = V<T>{};
    int i = 0;
    for (; i + LANES <= n; i += LANES) { V<T> v = load(x + i); sum += v * v; }
    T s = total<T>(sum);
    for (; i < n; i++) s += x[i] * x[i];
    return s / n;
}

template <class T> void unit(const T* x, T* y, int n, T eps) {  // y = x / sqrt(mean x² + eps)
    T scale = 1 / std::sqrt(square_mean(x, n) + eps);
    for (int i = 0; i < n; i++) y[i] = x[i] * scale;
}

// ---- matrices -----------------------------------------------------------------------------------------------------------

// What Python hands over; a panel is [in][PANEL] numbers, panel after panel. Bias: as many numbers as panels have outputs, or none.
struct Matrix { const void* panels; const void* bias; int32_t in, out; };

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

// ---- states -------------------------------------------------------------------------------------------------------------

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

// ---- what Python hands over ---------------------------------------------------------------------------------------------

extern "C" {

// A local block and, where `social_heads` is not 0, a social one. `into` gives [z | convolved | step sizes], local before social.
struct Layer {
    int32_t heads, head_width, state, social_heads, social_head_width, social_state, summed, padding;
    double eps;
    Matrix into, out, read, social_out;
    const void *conv_4W, *conv_bias_W, *dt_bias_H, *minus_A_H, *skip_H;
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
    int32_t B, first, last, ticks, most_tokens, padding;
    double temperature, top_p;
    const int64_t *header_B, *begins_B, *forced_TB;  // the first token, the tick after which a row's first word is said, what must be said
    const double* uniform_TB;
    const uint8_t *stops_V, *unsaid_V, *at_first_V;
    const void* const *local_LB;   // [H, P, N]
    const void* const *window_LB;  // [conv-1, E+2N]
    const void* const *own_LB;     // [social layer][B]: [H, P, N]
    const void* const *other_LB;
    int64_t* said_TB;
    void* nats_TB;
    void* logits_TBV;  // or null
};

}

// ---- a row and its step -------------------------------------------------------------------------------------------------

namespace {

template <class T> struct Row {
    int row, token;
    bool free = false, done = false;  // free: `token` was the model's choice
    std::vector<States<T>> local, social;
    std::vector<std::vector<T>> window;
    std::unique_ptr<T[]> states;
    std::vector<T> p, r, unit, projected, conv, query, views, added, dt, a, x, rate, written, own, other, logits;  // working memory of a step
};

template <class T> const T* given(const void* const* table, int layer, const Task& t, int row) {
    return (const T*)table[std::ptrdiff_t(layer) * t.B + row];
}

int inner_of(const Layer& l) { return l.heads * l.head_width; }
int social_inner_of(const Layer& l) { return l.social_heads * l.social_head_width; }
int seen_of(const Layer& l) { return inner_of(l) + 2 * l.state; }
int convolved_of(const Layer& l) { return seen_of(l) + (l.social_heads ? social_inner_of(l) + l.social_state : 0); }

template <class T> std::ptrdiff_t room_of(const Layer& l) {
    return std::ptrdiff_t(l.state) * up(inner_of(l), PANEL) + 2 * std::ptrdiff_t(l.social_state) * up(social_inner_of(l), PANEL);
}

template <class T> void make_room(const Model& m, Row<T>& row) {
    std::ptrdiff_t room = 0;
    int projected = 0, widest = m.D, heads = 0;
    for (int i = 0; i < m.layers; i++) {
        const Layer& l = m.layer[i];
        room += room_of<T>(l);
        projected = std::max({projected, l.into.out, l.read.out});
        widest = std::max({widest, inner_of(l), 2 * social_inner_of(l)});
        heads = std::max(heads, l.heads + l.social_heads);
    }
    row.states.reset(new T[room]);
    for (auto* v : {&row.p, &row.r, &row.unit, &row.views, &row.added, &row.x, &row.rate, &row.written, &row.own, &row.other}) v->assign(widest + PANEL, 0);
    for (auto* v : {&row.projected, &row.conv, &row.query}) v->assign(projected + PANEL, 0);
    for (auto* v : {&row.dt, &row.a}) v->assign(heads, 0);
    row.logits.assign(up(m.V, PANEL), 0);
    row.local.resize(m.layers), row.social.resize(m.layers), row.window.resize(m.layers);
}

template <class T> void begin(const Model& m, const Task& t, int b, Row<T>& row) {
    row.row = b, row.token = int(t.header_B[b]);
    make_room(m, row);
    T* room = row.states.get();
    for (int i = 0, j = 0; i < m.layers; room += room_of<T>(m.layer[i]), i++) {
        const Layer& l = m.layer[i];
        int seen = seen_of(l), W = convolved_of(l);
        row.local[i].begin(l.state, l.heads, l.head_width);
        row.local[i].add(room, given<T>(t.local_LB, i, t, b));
        row.window[i].assign(std::size_t(m.conv) * W, 0);  // social convolutions have seen nothing when a message begins
        for (int k = 0; k + 1 < m.conv; k++) std::copy_n(given<T>(t.window_LB, i, t, b) + k * seen, seen, &row.window[i][(k + 1) * W]);
        if (!l.social_heads) continue;
        const T *own = given<T>(t.own_LB, j, t, b), *other = given<T>(t.other_LB, j, t, b);
        j++;
        States<T>& social = row.social[i];
        T* next = room + std::ptrdiff_t(l.state) * row.local[i].width;
        social.begin(l.social_state, l.social_heads, l.social_head_width);
        social.add(next, own, l.summed ? other : nullptr);
        if (!l.summed) social.add(next + std::ptrdiff_t(l.social_state) * social.width, other);
    }
}

// The convolution over the last `conv` inputs, then SiLU; the oldest input falls out.
template <class T> void convolve(const Layer& l, int conv, const T* fresh, std::vector<T>& window, T* out) {
    int W = convolved_of(l), i = 0;
    const T *weight = (const T*)l.conv_4W, *bias = (const T*)l.conv_bias_W;
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

// Both blocks of a layer between their matrices: the local one's output in `unit`, the social one's in `views`.
template <class T> void advance(const Model& m, int i, Row<T>& row) {
    const Layer& l = m.layer[i];
    int E = inner_of(l), inner = social_inner_of(l), W = convolved_of(l);
    const T *z = row.projected.data(), *dt_bias = (const T*)l.dt_bias_H, *minus_A = (const T*)l.minus_A_H, *skip = (const T*)l.skip_H;
    convolve<T>(l, m.conv, z + E, row.window[i], row.conv.data());
    for (int h = 0; h < l.heads + l.social_heads; h++) {
        row.dt[h] = softplus<T>(z[E + W + h] + dt_bias[h]);
        row.a[h] = std::exp(row.dt[h] * minus_A[h]);
    }
    const T* c = row.conv.data();
    T *x = row.x.data(), *y = row.unit.data();
    by_head(l.heads, l.head_width, [&](int h, int e) { x[e] = c[e] * row.dt[h]; });
    row.local[i].advance(row.a.data(), x, c + E, c + E + l.state, row.rate.data(), row.written.data(), &y);
    by_head(l.heads, l.head_width, [&](int h, int e) { y[e] += skip[h] * c[e]; });
    gate(y, z, E);
    unit<T>(y, y, E, T(m.eps));
    if (!l.social_heads) return;
    c += seen_of(l);
    by_head(l.social_heads, l.social_head_width, [&](int h, int e) { x[e] = c[e] * row.dt[l.heads + h]; });
    T* read[2] = {row.own.data(), row.other.data()};
    row.social[i].advance(&row.a[l.heads], x, c + inner, row.query.data(), row.rate.data(), row.written.data(), read);
    for (int s = 0; s < row.social[i].count; s++)
        for (int e = 0; e < inner; e += l.social_head_width) unit<T>(read[s] + e, &row.views[s * inner + e], l.social_head_width, T(l.eps));
    gate(row.views.data(), row.query.data() + l.social_state, row.social[i].count * inner);
}

template <class T> using Part = std::vector<T> Row<T>::*;

template <class T, class M> void apply_to(const Matrix& matrix, const std::vector<Row<T>*>& rows, Part<T> from, Part<T> to) {
    std::vector<const T*> x;
    std::vector<T*> y;
    for (auto* row : rows) x.push_back((row->*from).data()), y.push_back((row->*to).data());
    apply<T, M>(matrix, x.data(), y.data(), int(rows.size()));
}

// One token for every row, from `token` to `logits`.
template <class T, class M> void step(const Model& m, const std::vector<Row<T>*>& rows) {
    for (auto* row : rows) {
        std::copy_n((const T*)m.embedding_VD + std::ptrdiff_t(row->token) * m.D, m.D, row->p.data());
        std::fill(row->r.begin(), row->r.end(), T(0));
    }
    auto norm = [&](bool whole) {
        for (auto* row : rows) {
            for (int d = 0; d < m.D; d++) row->added[d] = whole ? row->p[d] + row->r[d] : row->p[d];
            unit<T>(row->added.data(), row->unit.data(), m.D, T(m.eps));
        }
    };
    auto add = [&](Part<T> stream) {
        for (auto* row : rows)
            for (int d = 0; d < m.D; d++) (row->*stream)[d] += row->added[d];
    };
    for (int i = 0; i < m.layers; i++) {
        const Layer& l = m.layer[i];
        norm(false);
        apply_to<T, M>(l.into, rows, &Row<T>::unit, &Row<T>::projected);
        if (l.social_heads) {
            norm(true);
            apply_to<T, M>(l.read, rows, &Row<T>::unit, &Row<T>::query);
        }
        for (auto* row : rows) advance<T>(m, i, *row);
        apply_to<T, M>(l.out, rows, &Row<T>::unit, &Row<T>::added);
        add(&Row<T>::p);
        if (!l.social_heads) continue;
        apply_to<T, M>(l.social_out, rows, &Row<T>::views, &Row<T>::added);
        add(&Row<T>::r);
    }
    norm(true);
    apply_to<T, M>(m.head, rows, &Row<T>::unit, &Row<T>::logits);
}

template <class T> T largest(const T* x, int n) {
    T most = -std::numeric_limits<T>::infinity();
    int i = 0;
    if (n >= LANES) {
        V<T> v = load(x);
        for (i = LANES; i + LANES <= n; i += LANES) { V<T> w = load(x + i); v = w > v ? w : v; }
        for (int k = 0; k < LANES; k++) most = std::max<T>(most, v[k]);
    }
    for (; i < n; i++) most = std::max(most, x[i]);
    return most;
}

template <class T> T log_sum(const T* x, int n) {  // log of the sum of e^x
    T most = largest(x, n), sum = 0;
    V<T> sums = V<T>{};
    int i = 0;
    for (; i + LANES <= n; i += LANES) sums += exponential(load(x + i) - most);
    sum = total<T>(sums);
    for (; i < n; i++) sum += std::exp(x[i] - most);
    return most + std::log(sum);
}

// As `_draw`: of the MOST_CHOICES likeliest the smallest set that holds `top_p`, by inverse distribution function.
template <class T> int draw(T* logits, int count, double uniform, const Task& t) {
    struct Choice { double logit; int token; };
    std::vector<Choice> likely;
    std::vector<T> best, sorted;  // the likeliest of every `span` tokens that lie LANES apart
    std::fill(logits + count, logits + up(count, LANES), -std::numeric_limits<T>::infinity());
    int vectors = up(count, LANES) / LANES, span = std::max(1, vectors / LANES);
    for (int first = 0; first < vectors; first += span) {
        V<T> most = load(logits + first * LANES);
        for (int v = first + 1; v < std::min(first + span, vectors); v++) { V<T> w = load(logits + v * LANES); most = w > most ? w : most; }
        best.resize(best.size() + LANES);
        store(&best[best.size() - LANES], most);
    }
    T least = -std::numeric_limits<T>::infinity();  // MOST_CHOICES tokens at least are as likely
    if (best.size() >= MOST_CHOICES) {
        sorted = best;
        std::nth_element(sorted.begin(), sorted.begin() + (MOST_CHOICES - 1), sorted.end(), std::greater<T>());
        least = sorted[MOST_CHOICES - 1];
    }
    for (int b = 0; b < int(best.size()); b++) {
        if (best[b] < least) continue;
        for (int v = b / LANES * span, k = 0; k < span; k++) {
            int token = (v + k) * LANES + b % LANES;
            if (token < count && logits[token] >= least) likely.push_back({double(logits[token]), token});
        }
    }
    if (likely.empty()) return END;  // no logit is a number: weights so large that sums overflow
    int kept = std::min<int>(MOST_CHOICES, int(likely.size()));
    auto likelier = [](const Choice& a, const Choice& b) { return a.logit > b.logit || (a.logit == b.logit && a.token < b.token); };
    std::partial_sort(likely.begin(), likely.begin() + kept, likely.end(), likelier);
    double p[MOST_CHOICES], sum = 0, reached = 0, held = 0;
    for (int i = 0; i < kept; i++) sum += p[i] = std::exp((likely[i].logit - likely[0].logit) / t.temperature);
    for (int i = 0; i < kept; i++) {
        p[i] /= sum;
        if (reached < t.top_p) held += p[i];
        reached += p[i];
    }
    reached = 0;
    for (int i = 0; i < kept; i++)
        if ((reached += p[i]) >= uniform * held) return likely[i].token;
    return likely[kept - 1].token;
}

// What the row says after tick `at`; puts it on record.
template <class T> void choose(const Model& m, const Task& t, int at, Row<T>& row) {
    std::ptrdiff_t place = std::ptrdiff_t(at) * t.B + row.row;
    T* logits = row.logits.data();
    if (t.logits_TBV) std::copy_n(logits, m.V, (T*)t.logits_TBV + place * m.V);
    int forced = int(t.forced_TB[place]), said = forced;
    T whole = log_sum(logits, m.V), chosen = 0;
    if (forced == FREE) {
        if (row.free && t.stops_V[row.token]) said = END;
        else {
            for (int i = 0; i < m.V; i++)
                if (t.unsaid_V[i] | (t.at_first_V[i] & !row.free)) logits[i] = -std::numeric_limits<T>::infinity();
            said = draw<T>(logits, m.V, t.uniform_TB[place], t);
        }
    }
    chosen = logits[said];
    t.said_TB[place] = said;
    ((T*)t.nats_TB)[place] = whole - chosen;
    row.token = said, row.free = forced == FREE;
    row.done = (said == END && at >= t.begins_B[row.row]) || at - t.begins_B[row.row] >= t.most_tokens - 1;
}

template <class T, class M> void say(const Model& m, const Task& t) {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // numbers too small to matter count as 0: they would be slow
#endif
    std::vector<Row<T>> all(t.last - t.first);
    std::vector<Row<T>*> rows;
    for (int b = t.first; b < t.last; b++) begin(m, t, b, all[b - t.first]), rows.push_back(&all[b - t.first]);
    for (int at = 0; at < t.ticks && !rows.empty(); at++) {
        step<T, M>(m, rows);
        for (auto* row : rows) choose(m, t, at, *row);
        rows.erase(std::remove_if(rows.begin(), rows.end(), [](Row<T>* row) { return row->done; }), rows.end());
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
