// What a row says next: what it must, or a draw among the likeliest tokens, as `_choose` and `_draw` of `generate.py` have it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "blocks.h"

namespace {

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

// Whether a message is done once it has said `said` after tick `at`.
inline bool done(const Task& t, int b, int at, int said) {
    int words = at - int(t.begins_B[b]) + 1;
    return (said == END && words > 0) || words >= t.most_B[b];
}

// What each message of the row says after a token was fed, on record, and the rows that it falls into: messages that said the same, of
// their own choice or not, stay together; those that are done go, and `ended` is told of them.
template <class T, class F> Rows<T> choose(const Model& m, const Task& t, Fed<T>& last, std::unique_ptr<Row<T>> row, F ended) {
    struct Part { int token; bool free; double nats; std::vector<int> messages; };
    std::vector<Part> parts;
    T* logits = last.logits.data();
    T whole = last.predicts ? log_sum(logits, m.V) : T(0);
    auto place = [&](int b) { return std::ptrdiff_t(row->at) * t.B + b; };
    auto must = [&](int b) { return t.forced_TB[place(b)] != FREE; };
    if (t.logits_TBV)
        for (int b : row->messages) std::copy_n(logits, m.V, (T*)t.logits_TBV + place(b) * m.V);
    auto say = [&](int b, int said) {
        T cost = last.predicts ? whole - logits[said] : T(0);
        t.said_TB[place(b)] = said;
        ((T*)t.nats_TB)[place(b)] = cost;
        double nats = row->nats + (row->at >= t.begins_B[b] ? double(cost) : 0.0);
        if (!(nats == nats)) nats = std::numeric_limits<double>::infinity();  // of no number nothing is less
        if (done(t, b, row->at, said)) return ended(b, said, nats);
        auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& one) { return one.token == said && one.free != must(b); });
        if (same == parts.end()) same = parts.insert(same, {said, !must(b), nats, {}});
        same->messages.push_back(b);
    };
    auto stops = [&] { return row->free && t.stops_V[row->token]; };
    bool masked = false;
    for (int b : row->messages)  // what must be said first: a draw takes what may not be out of the logits
        if (must(b)) say(b, int(t.forced_TB[place(b)]));
        else if (stops()) say(b, END);
    for (int b : row->messages) {
        if (must(b) || stops()) continue;
        for (int i = 0; i < m.V && !masked; i++)
            if (t.unsaid_V[i] | (t.at_first_V[i] & !row->free)) logits[i] = -std::numeric_limits<T>::infinity();
        masked = true;
        say(b, draw<T>(logits, m.V, t.uniform_TB[place(b)], t));
    }
    row->at++;
    Rows<T> rows;
    for (std::size_t i = 0; i < parts.size(); i++) {
        rows.push_back(i + 1 < parts.size() ? std::make_unique<Row<T>>(*row) : std::move(row));  // a copy shares the states until they fold
        Row<T>& part = *rows.back();
        part.token = parts[i].token, part.free = parts[i].free, part.nats = parts[i].nats, part.messages = parts[i].messages;
    }
    return rows;
}

}  // namespace
