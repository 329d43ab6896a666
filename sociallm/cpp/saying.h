// From the first token to the last of every row: which tokens are fed together, which rows go on, and which are given up.
//
// A group are the candidates of one message, of which the likeliest that will do is wanted; whether one does, `judge` says. So when a group's
// rows have said what they must, the likeliest of them go on, a few at once, the next as one ends; and once one will do, those that
// are less likely already are given up. When that happens depends on the group's own rows alone. Without a `judge` all go on to their ends.
#pragma once
#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "choosing.h"

namespace {

constexpr int GOING = 4;      // rows of a group whose own words go on at once
constexpr int MOST_FED = 48;  // tokens fed at once: as many as still make a product faster; not less than FOLD, the most of one row

// The tokens that a row is fed at once: its next, and after it those that all its messages must say.
template <class T> std::vector<int> run_of(const Task& t, const Row<T>& row) {
    std::vector<int> tokens{row.token};
    for (int at = row.at; int(tokens.size()) < row.local[0].room() && at + 1 < t.ticks; at++) {
        const int64_t* must = t.forced_TB + std::ptrdiff_t(at) * t.B;
        int said = int(must[row.messages[0]]);
        if (said == FREE || !std::all_of(row.messages.begin(), row.messages.end(), [&](int b) { return must[b] == said && !done(t, b, at, said); })) break;
        tokens.push_back(said);
    }
    return tokens;
}

template <class T, class M> class Saying {
public:
    Saying(const Model& m, const Task& t) : m(m), t(t), least(t.B, std::numeric_limits<double>::infinity()) {
        for (int b = t.first; b < t.last; b++) {
            auto same = std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return alike<T>(m, t, row->messages[0], b); });
            if (same != rows.end()) { (*same)->messages.push_back(b); continue; }
            rows.push_back(std::make_unique<Row<T>>());
            begin(m, t, b, *rows.back());
        }
    }

    bool over() const { return rows.empty(); }

    // Feed every row that goes on, as many tokens as are known of it.
    void go_on() {
        if (t.judge) let_go();
        std::size_t first = 0;
        while (first < rows.size()) {
            std::vector<std::vector<int>> runs;
            std::size_t last = first, fed = 0;
            for (; last < rows.size(); last++) {
                std::vector<int> run = t.judge && rows[last]->free && !rows[last]->going ? std::vector<int>{} : run_of(t, *rows[last]);
                if (fed && fed + run.size() > MOST_FED) break;
                fed += run.size();
                runs.push_back(std::move(run));
            }
            feed(first, runs);
            first = last;
        }
        rows.clear();
        for (auto& row : next)
            if (row->at < t.ticks && !(row->nats > least[group_of(*row)])) rows.push_back(std::move(row));
        next.clear();
    }

private:
    const Model& m;
    const Task& t;
    std::vector<double> least;  // by group: the nats of its likeliest candidate that will do
    Rows<T> rows, next;
    std::vector<std::unique_ptr<Fed<T>>> room;

    int64_t group_of(const Row<T>& row) const { return t.group_B[row.messages[0]]; }

    // Which rows of the model's own words go on: the likeliest.
    void let_go() {
        std::vector<Row<T>*> likely;
        std::vector<int> busy(t.B, 0);  // by group: rows that go on
        for (auto& row : rows) {
            if (!row->free) row->going = false;  // also of a row that is to part into such as are free
            else if (row->going) busy[group_of(*row)]++;
            else likely.push_back(row.get());
        }
        auto likelier = [](const Row<T>* a, const Row<T>* b) { return a->nats < b->nats || (a->nats == b->nats && a->messages[0] < b->messages[0]); };
        std::sort(likely.begin(), likely.end(), likelier);
        for (Row<T>* row : likely)
            if (busy[group_of(*row)]++ < GOING) row->going = true;
    }

    // Feed the runs of the rows from `first` on; what they come to goes to `next`.
    void feed(std::size_t first, const std::vector<std::vector<int>>& runs) {
        std::vector<Fed<T>*> all;
        for (std::size_t i = 0; i < runs.size(); i++)
            for (std::size_t k = 0; k < runs[i].size(); k++) {
                if (all.size() == room.size()) room.push_back(std::make_unique<Fed<T>>(m));
                Fed<T>& one = *room[all.size()];
                one.row = rows[first + i].get(), one.token = runs[i][k];
                one.predicts = t.logits_TBV || one.row->at + int(k) >= t.begins_B[one.row->messages[0]];
                all.push_back(&one);
            }
        if (!all.empty()) step<T, M>(m, all);
        auto ended = [this](int b, int said, double nats) {
            double& bound = least[t.group_B[b]];
            if (!t.judge || said != END || nats > bound) return;
            Flushing small(false);  // what judges is not of this code
            if (t.judge(b)) bound = nats;
        };
        auto fed = all.begin();
        for (std::size_t i = 0; i < runs.size(); i++) {
            std::unique_ptr<Row<T>> row = std::move(rows[first + i]);
            if (runs[i].empty()) { next.push_back(std::move(row)); continue; }
            for (std::size_t k = 1; k < runs[i].size(); k++) row = std::move(choose(m, t, **fed++, std::move(row), ended)[0]);
            for (auto& part : choose(m, t, **fed++, std::move(row), ended)) next.push_back(std::move(part));
        }
    }
};

}  // namespace
