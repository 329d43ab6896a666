// The run, as the page holds it (analysis/viewing/gathered.py says what each column is), and what is looked up in it. Agents, channels, messages
// and moments are numbers; no object has a key that came from a run.
const R = JSON.parse(byId("run").textContent);
const M = R.messages, D = R.deeds, I = R.intents, WORDS = R.words, LAST = R.steps.n.length - 1, AGENTS = R.agents.length, ALL = -1;
const word = (i) => R.words_of[i];
const agentName = (i) => (i < 0 ? "the world" : R.agents[i]);
const POWER = R.agents.map((name) => R.powers.indexOf(name));
const hue = (agent) => (agent < 0 ? "none" : POWER[agent] >= 0 ? `p${POWER[agent]}` : `c${agent % 12}`);
const phaseOf = (at) => word(R.steps.phase[at]) || "";
const momentName = (at) => (phaseOf(at) ? `${phaseOf(at)} · step ${R.steps.n[at]}` : `step ${R.steps.n[at]}`);
const chip = (agent) => el("span", `chip ${hue(agent)}`, agentName(agent));

// Rows of a table by what stands in one of its columns.
function grouped(column) {
  const found = new Map();
  (column || []).forEach((value, i) => (found.has(value) ? found.get(value).push(i) : found.set(value, [i])));
  return found;
}
const NONE = [];
const deedsAt = grouped(D.at), intentsAt = grouped(I.at), intentsOf = grouped(I.agent), wordsIn = grouped(WORDS.message), wordsBy = grouped(WORDS.by);
const rows = (table, key) => table.get(key) || NONE;
const readersOf = (i) => R.channels.readers[M.channel[i]];

// How many rows have a value of at most this one in a column that only grows.
function upTo(column, value, of) {
  let low = 0, high = of ? of.length : column.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[of ? of[middle] : middle] <= value) low = middle + 1; else high = middle;
  }
  return low;
}

// The moment in which an agent read a message; -1 if it never did, or could not.
function readAt(i, agent) {
  const place = readersOf(i).indexOf(agent);
  return place < 0 ? -1 : M.read[i][place];
}

// What an agent holds of others: the rows of each two, in time.
const held = R.holds.map((one) => {
  const pairs = new Map();
  one.at.forEach((_, i) => {
    const key = one.of[i] * AGENTS + one.about[i];
    if (pairs.has(key)) pairs.get(key).push(i); else pairs.set(key, [i]);
  });
  return pairs;
});

function holds(which, of, about, at) {
  const own = rows(held[which], of * AGENTS + about), n = upTo(R.holds[which].at, at, own);
  return n ? R.holds[which].value[own[n - 1]] : R.holds[which].start;
}

// What was measured of a message in a reader's memory: [[name, told, value]].
function measuredOf(i, reader) {
  const found = [];
  for (const table of R.measures) {
    for (let row = upTo(table.message, i - 1); table.message[row] === i; row++) {
      if (table.reader[row] === reader) for (const c of table.columns) if (c.value[row] !== null && (chosen.viewer === ALL || c.open)) found.push([c.name, c.told, c.value[row]]);
    }
  }
  return found;
}

const mayRead = (i, viewer) => viewer === ALL || M.by[i] === viewer || readersOf(i).includes(viewer);
const maySee = (deed, viewer) => viewer === ALL || D.open[deed] === 1 || D.agent[deed] === viewer;
