// Beside the talk: what was planned, done and told in the moment, and all about the message that was chosen.
const NAMES = { move: "Moves", fault: "Faults", reward: "Rewards", intervention: "Changed from outside", world: "What the world told", usage: "What answers took", end: "The end" };
const NAMED = new Map(Object.entries(NAMES));

function drawBeside() {
  const parts = [message()];
  const mine = rows(deedsAt, chosen.at).filter((i) => maySee(i, chosen.viewer));
  for (const kind of ["intervention", "fault", "move", "world", "reward", "usage", "end"]) {
    const own = mine.filter((i) => R.kinds[D.kind[i]] === kind);
    if (own.length) parts.push(el("h4", kind, NAMED.get(kind)), el("ul", "deeds", own.slice(0, 60).map((i) => el("li", "", D.agent[i] >= 0 ? chip(D.agent[i]) : null, ` ${word(D.what[i])}`)), own.length > 60 ? el("li", "quiet", `and ${own.length - 60} more`) : null));
  }
  const planned = rows(intentsAt, chosen.at).filter((i) => chosen.viewer === ALL || I.agent[i] === chosen.viewer);
  if (planned.length) parts.push(el("h4", "", "Intents, before words and moves"), planned.slice(0, 12).map((i) => el("div", "intent", chip(I.agent[i]), intentBars(I.what[i], 1, hue(I.agent[i])))));
  parts.push(soFar());
  put(byId("beside"), el("h3", "", momentName(chosen.at), el("small", "", "what was planned, done and told")), parts.some((one) => one) ? parts : el("p", "quiet", "Nothing but talk."));
}

// What the world has told before, where no map shows it: the latest first.
function soFar() {
  if (B) return null;
  const before = [];
  for (let i = (D.at || []).length - 1; i >= 0 && before.length < 8; i--) {
    if (D.at[i] < chosen.at && R.kinds[D.kind[i]] === "world" && maySee(i, chosen.viewer)) before.push(clicked(el("li", "linked", el("small", "", `${momentName(D.at[i])}  `), word(D.what[i])), () => goTo(D.at[i])));
  }
  return before.length ? [el("h4", "", "Before that, the latest first"), el("ul", "deeds", before)] : null;
}

function message() {
  const i = chosen.message;
  if (i < 0 || !mayRead(i, chosen.viewer)) return null;
  const readers = readersOf(i).filter((agent) => agent !== M.by[i] && (chosen.viewer === ALL || agent === chosen.viewer));
  return el("div", "about", el("h4", "", "The message chosen", el("small", "", `${M.id[i]} · ${R.channels.name[M.channel[i]]}`)), el("p", "text", M.text[i]),
    M.answers[i] >= 0 ? clicked(el("button", "", "to what it answers"), () => goToMessage(M.answers[i])) : null,
    el("table", "", el("tbody", "", readers.slice(0, 30).map((agent) => {
      const at = readAt(i, agent);
      return el("tr", "", el("td", "", chip(agent)), el("td", "", at < 0 ? "never read it" : at === M.at[i] ? "read it in this step" : `read it in ${momentName(at)}`),
        el("td", "", measuredOf(i, agent).map(([name, about, value]) => titled(el("span", "measure", `${name} ${fixed(value, 2)}`), about))));
    }))));
}
