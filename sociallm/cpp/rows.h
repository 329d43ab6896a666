// A row: a message that is being said, with its states and the windows of its convolutions. Messages that start from the same and have
// said the same so far are one row, computed once.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "states.h"

namespace {

template <class T> struct Row {
    std::vector<int> messages;  // which of the task's
    int at = 0, token;          // the tick at which `token` is fed
    bool free = false;          // whether `token` was the model's choice
    bool going = false;         // whether it goes on where `free` rows wait for one another (saying.h)
    double nats = 0;            // of its words so far
    std::vector<States<T>> local, social;
    std::vector<std::vector<T>> window;
};

template <class T> using Rows = std::vector<std::unique_ptr<Row<T>>>;

template <class T> const T* given(const void* const* table, int layer, const Task& t, int row) {
    return (const T*)table[std::ptrdiff_t(layer) * t.B + row];
}

int inner_of(const Layer& l) { return l.heads * l.head_width; }
int social_inner_of(const Layer& l) { return l.social_heads * l.social_head_width; }
int seen_of(const Layer& l) { return inner_of(l) + 2 * l.state; }
int convolved_of(const Layer& l) { return seen_of(l) + (l.social_heads ? social_inner_of(l) + l.social_state : 0); }

template <class T> void begin(const Model& m, const Task& t, int b, Row<T>& row) {
    row.messages = {b}, row.token = int(t.header_B[b]);
    row.local.resize(m.layers), row.social.resize(m.layers), row.window.resize(m.layers);
    for (int i = 0, j = 0; i < m.layers; i++) {
        const Layer& l = m.layer[i];
        int seen = seen_of(l), W = convolved_of(l);
        row.local[i].begin(l.state, l.heads, l.head_width);
        row.local[i].add(given<T>(t.local_LB, i, t, b));
        row.window[i].assign(std::size_t(m.conv) * W, 0);  // social convolutions have seen nothing when a message begins
        for (int k = 0; k + 1 < m.conv; k++) std::copy_n(given<T>(t.window_LB, i, t, b) + k * seen, seen, &row.window[i][(k + 1) * W]);
        if (!l.social_heads) continue;
        const T *own = given<T>(t.own_LB, j, t, b), *other = given<T>(t.other_LB, j, t, b);
        j++;
        States<T>& social = row.social[i];
        social.begin(l.social_state, l.social_heads, l.social_head_width);
        social.add(own, l.summed ? other : nullptr);
        if (!l.summed) social.add(other);
    }
}

// Whether two messages start from the same states and the same token; of different groups only where nobody judges.
template <class T> bool alike(const Model& m, const Task& t, int a, int b) {
    if (t.header_B[a] != t.header_B[b] || t.begins_B[a] != t.begins_B[b] || (t.judge && t.group_B[a] != t.group_B[b])) return false;
    for (int i = 0, j = 0; i < m.layers; i++) {
        if (given<T>(t.local_LB, i, t, a) != given<T>(t.local_LB, i, t, b) || given<T>(t.window_LB, i, t, a) != given<T>(t.window_LB, i, t, b)) return false;
        if (!m.layer[i].social_heads) continue;
        if (given<T>(t.own_LB, j, t, a) != given<T>(t.own_LB, j, t, b) || given<T>(t.other_LB, j, t, a) != given<T>(t.other_LB, j, t, b)) return false;
        j++;
    }
    return true;
}

}  // namespace
