// The world in one agent's eyes at the moment: what it has read, what it alone was told, what it plans, what it holds about each other, and what
// became of the words it gave and got.
const eyes = byId("eyes");
const OBSERVE = "python -m analysis observe RUN";

function drawEyes() {
  if (chosen.agent < 0) return void put(eyes, el("p", "none", "Nobody acts in this run."));
  const me = chosen.agent;
  put(eyes,
    el("div", "seats", R.agents.map((_, i) => clicked(el("button", `${hue(i)}${i === me ? " chosen" : ""}`, R.agents[i]), () => choose({ agent: i, ...(chosen.viewer === ALL ? {} : { viewer: i }) })))),
    el("h2", hue(me), "The world as ", chip(me), " has it", R.seats[me] ? el("small", "", R.seats[me]) : null,
      clicked(el("button", chosen.viewer === me ? "chosen" : "", chosen.viewer === me ? "see all again" : "only what it could see"), () => choose({ viewer: chosen.viewer === me ? ALL : me, message: -1 }))),
    planted(me), readingLine(me), alone(me), plan(me), others(me), given(me), notMeasured());
}

function planted(me) {
  if (!R.labels) return null;
  const own = R.labels.agents.filter(([agent]) => agent === me).map(([, kind, what]) => el("p", "planted", el("b", "", `planted ${kind}`), `: ${what}`));
  return own.length ? own : el("p", "quiet", `Not planted, by the plan ${R.labels.plan}.`);
}

// [how many it wrote, how many it has read, how many have come and are not read], by all and by each other agent, up to the moment.
function reading(me) {
  const until = upTo(M.at, chosen.at), wrote = new Array(AGENTS).fill(0), read = new Array(AGENTS).fill(0), ids = [];
  let own = 0, waiting = 0;
  for (let i = 0; i < until; i++) {
    if (M.by[i] === me) {
      own += 1;
      const whom = M.to[i].length ? M.to[i] : readersOf(i);
      for (const other of whom) if (other !== me) wrote[other] += 1;
    } else if (readersOf(i).includes(me)) {
      const at = readAt(i, me);
      if (at >= 0 && at <= chosen.at) {
        if (M.by[i] >= 0) read[M.by[i]] += 1;
        ids.push(i);
      } else waiting += 1;
    }
  }
  return { own, waiting, wrote, read, ids };
}

function readingLine(me) {
  const { own, waiting, ids } = reading(me);
  return el("p", "quiet", `Wrote ${own}, has read ${ids.length}${waiting ? `, ${waiting} have come and are not read yet` : ""}.`);
}

function alone(me) {
  const until = upTo(M.at, chosen.at), found = [];
  for (let i = 0; i < until; i++) if (readersOf(i).length === 1 && readersOf(i)[0] === me) found.push(i);
  if (!found.length) return null;
  const part = el("details", "", el("summary", "", `Told to it alone (${found.length})`), el("ul", "", found.slice(0, 40).map((i) => el("li", "", M.text[i]))));
  part.open = openParts.has("alone");
  part.addEventListener("toggle", () => (part.open ? openParts.add("alone") : openParts.delete("alone")));
  return part;
}
const openParts = new Set(["alone"]);

function plan(me) {
  const own = rows(intentsOf, me), n = upTo(I.at, chosen.at, own);
  if (!n) return null;
  const at = I.at[own[n - 1]], what = I.what[own[n - 1]];
  return [el("h3", "", "What it plans", el("small", "", at === chosen.at ? "its intent in this step" : `its last intent, ${momentName(at)}`)), intentBars(what, 4, hue(me))];
}

function intentBars(what, most, colour) {
  return el("div", "plans", what.map(([unit, options]) => {
    const bars = [];
    for (let o = 0; o < Math.min(2 * most, options.length); o += 2) bars.push(bar(options[o + 1] / 1000, colour, `${word(options[o])}  ${percent(options[o + 1])}`));
    return el("div", "", unit >= 0 && !options.length ? word(unit) : bars);
  }));
}

// Of words between two: [kept or true, broken or false, not yet known].
function tally(by, to) {
  const found = [0, 0, 0];
  for (const w of rows(wordsBy, by)) {
    if (!WORDS.to[w].includes(to) || M.at[WORDS.message[w]] > chosen.at) continue;
    const what = verdictOf(w);
    found[what === "open" ? 2 : what === "kept" ? 0 : 1] += 1;
  }
  return found;
}

const tallied = ([kept, broken, open]) => (kept + broken + open ? el("span", "tally", kept ? el("b", "kept", `${kept} kept `) : null, broken ? el("b", "broken", `${broken} broken `) : null, open ? el("b", "open", `${open} open`) : null) : el("span", "quiet", "–"));

// Means over what this agent has read of another by now.
function meansOf(me, ids) {
  const sums = new Map();
  if (!R.measures.length) return { names: [], sums };
  const names = new Map();
  for (const i of ids) {
    for (const [name, about, value] of measuredOf(i, me)) {
      names.set(name, about);
      const key = `${M.by[i]} ${name}`, sum = sums.get(key) || [0, 0];
      sum[0] += value;
      sum[1] += 1;
      sums.set(key, sum);
    }
  }
  return { names: [...names], sums };
}

function others(me) {
  const { wrote, read, ids } = reading(me), { names, sums } = meansOf(me, ids), known = (WORDS.message || []).length > 0;
  const heads = [el("th", "", "about"), ...R.holds.map((one) => titled(el("th", "", one.name), one.told)), titled(el("th", "", "wrote / read"), "messages to it, and messages of it that this agent has read"),
    ...(known ? [titled(el("th", "", "its word to me"), "what it promised or stated, as far as known by now"), titled(el("th", "", "my word to it"), "what this agent promised or stated, as far as known by now")] : []),
    ...names.map(([name, about]) => titled(el("th", "", name), `${about}; mean over what it has read of the other by now`))];
  const body = R.agents.map((_, other) => other).filter((other) => other !== me).map((other) => el("tr", "", el("td", "", clicked(chip(other), () => choose({ agent: other }))),
    R.holds.map((one, which) => el("td", "", heldBar(holds(which, me, other, chosen.at), one, hue(other)))),
    el("td", "figure", `${wrote[other]} / ${read[other]}`),
    known ? [el("td", "", tallied(tally(other, me))), el("td", "", tallied(tally(me, other)))] : null,
    names.map(([name]) => {
      const sum = sums.get(`${other} ${name}`);
      return el("td", "figure", sum ? fixed(sum[0] / sum[1], 2) : "–");
    })));
  return body.length ? [el("h3", "", "What it holds about the others"), el("div", "wide", el("table", "", el("thead", "", el("tr", "", heads)), el("tbody", "", body)))] : null;
}

function heldBar(value, one, colour) {
  return value === null || value === undefined ? el("span", "quiet", "–") : bar(value / (one.top || 1), colour, fixed(value, 2));
}

function given(me) {
  const own = rows(wordsBy, me).filter((w) => M.at[WORDS.message[w]] <= chosen.at);
  if (!own.length) return null;
  return [el("h3", "", "Its word, and what came of it", el("small", "", `${own.length} given`)), el("ol", "given", own.slice(-24).reverse().map((w) => clicked(
    el("li", `word ${verdictOf(w)}`, el("small", "", momentName(M.at[WORDS.message[w]])), " to ", WORDS.to[w].length > 3 ? `${WORDS.to[w].length} others` : WORDS.to[w].map((to) => chip(to)), ` ${word(WORDS.about[w])}: ${word(WORDS.said[w])}`, el("b", "", verdictText(w))), () => goToMessage(WORDS.message[w]))))];
}

function notMeasured() {
  if (R.measures.some((table) => table.columns.some((one) => one.name === "energy" || one.name === "surprise"))) return null;
  return el("p", "quiet", "Energy and information: not measured. ", el("code", "", OBSERVE), " measures them with SociaLLM; then make this page again.");
}
