// The conversation up to the moment, by channel and agent. Only some rows of it are drawn: those about the moment, or where one has scrolled to.
// While the moment runs, only as many as can be seen; the others come when it stands still.
const FEW = 24, MOST = 160, MORE = 50, LEAST_ROW = 58; // pixels of a row of one line of text
const list = byId("list");
let shownOf = [], filter = "", from = 0, to = 0, reached = -1, follows = "", standing = null, seen = FEW;

function filtered() {
  const now = [chosen.channel, chosen.one, chosen.other, chosen.viewer].join();
  if (now === filter) return false;
  filter = now;
  shownOf = [];
  for (let i = 0; i < M.at.length; i++) {
    if (chosen.channel >= 0 && M.channel[i] !== chosen.channel) continue;
    if (chosen.one >= 0 && chosen.other < 0 && !mayRead(i, chosen.one)) continue;
    if (chosen.one >= 0 && chosen.other >= 0 && !between(i, chosen.one, chosen.other)) continue;
    if (mayRead(i, chosen.viewer)) shownOf.push(i);
  }
  return true;
}

const between = (i, one, other) => (M.by[i] === one && readersOf(i).includes(other)) || (M.by[i] === other && readersOf(i).includes(one));

function drawTalk() {
  const changed = filtered(), now = [chosen.at, chosen.message, filter].join("/");
  if (now === follows) return;
  follows = now;
  reached = upTo(M.at, chosen.at, shownOf);
  const place = chosen.message >= 0 ? shownOf.indexOf(chosen.message) : -1;
  clearTimeout(standing);
  standing = null;
  if (place >= 0 && place < reached) {
    from = Math.max(0, place - FEW / 2);
    to = Math.min(reached, from + FEW);
  } else {
    to = reached;
    from = Math.max(0, to - seen);
    if (from > 0 && to - from < FEW) standing = setTimeout(drawAbove, PAUSE);
  }
  drawRows();
  const one = place >= 0 && list.querySelector(".chosen");
  if (one) one.scrollIntoView({ block: "center" }); else list.scrollTop = list.scrollHeight;
  byId("count").textContent = `${reached.toLocaleString("en")} of ${shownOf.length.toLocaleString("en")}`;
  if (changed) drawFilters();
}

function drawAbove() {
  standing = null;
  from = Math.max(0, to - FEW);
  drawRows();
  list.scrollTop = list.scrollHeight;
}

function drawRows() {
  const rows = [];
  let step = -1;
  for (let n = from; n < to; n++) {
    const i = shownOf[n];
    if (M.at[i] !== step) rows.push(el("h4", M.at[i] === chosen.at ? "present" : "", momentName(step = M.at[i])));
    rows.push(messageRow(i));
  }
  if (!shownOf.length) rows.push(el("p", "none", M.at.length ? "Nothing here: choose another channel or agent." : "Nobody said anything in this run."));
  else if (!reached) rows.push(el("p", "none", "Nothing has been said yet."));
  put(list, rows);
}

function messageRow(i) {
  const unread = chosen.viewer !== ALL && M.by[i] !== chosen.viewer && (readAt(i, chosen.viewer) < 0 || readAt(i, chosen.viewer) > chosen.at);
  const row = el("article", `${hue(M.by[i])}${M.at[i] === chosen.at ? " present" : ""}${i === chosen.message ? " chosen" : ""}${unread ? " unread" : ""}`,
    el("div", "who", chip(M.by[i]), heardBy(i), el("time", "", clock(M.time[i])), word(M.act[i]) ? el("span", "act", word(M.act[i])) : null,
      word(M.how[i]) === "model" ? titled(el("span", "act model", "model"), "worded by the model") : null),
    el("p", "", unread ? "has come, not read yet" : M.text[i]),
    unread ? null : rowsOfWords(i));
  row.dataset.i = String(i);
  return row;
}

function heardBy(i) {
  const readers = readersOf(i).filter((agent) => agent !== M.by[i]);
  if (!readers.length) return el("span", "to", "to itself alone");
  const named = M.to[i].length && M.to[i].length < readers.length ? M.to[i] : readers;
  if (named.length > 3) return el("span", "to", `→ ${named.length === AGENTS - 1 ? "all" : `${named.length} readers`} · ${R.channels.name[M.channel[i]]}`);
  const others = readers.length > named.length ? ` (read by ${readers.length})` : "";
  return el("span", "to", "→ ", named.map((agent) => chip(agent)), others);
}

// What a message gave its author's word for, and from the moment on in which it was known, what came of it.
function rowsOfWords(i) {
  return rows(wordsIn, i).map((w) => el("div", `word ${verdictOf(w)}`, `${word(WORDS.kind[w])}: ${word(WORDS.said[w])}`, el("b", "", verdictText(w))));
}

function verdictOf(w) {
  if (chosen.at < WORDS.known[w] || (chosen.viewer !== ALL && !WORDS.open[w])) return "open";
  return WORDS.kept[w] ? "kept" : WORDS.lie[w] ? "lie" : "broken";
}

function verdictText(w) {
  const fact = word(WORDS.kind[w]) === "statement";
  const meant = WORDS.meant[w] < 0 || (chosen.viewer !== ALL && chosen.viewer !== WORDS.by[w]) ? "" : ` (${fact ? "its own belief" : "meant"}: ${percent(WORDS.meant[w])})`;
  const what = verdictOf(w);
  const said = { open: "open", kept: fact ? "true" : "kept", broken: WORDS.opinion[w] ? "mistaken" : fact ? "false" : "broken", lie: fact ? "false, and known to be" : "broken, and not meant" }[what];
  return ` ${said}${meant}`;
}

function scrolled() {
  if (standing !== null) return;
  const top = list.scrollTop, bottom = list.scrollHeight - list.clientHeight - top;
  const upward = top < 200 && from > 0, down = !upward && bottom < 200 && to < reached;
  if (!upward && !down) return;
  const kept = list.querySelector(`[data-i="${shownOf[upward ? from : to - 1]}"]`), before = kept ? kept.offsetTop - top : 0, i = kept && kept.dataset.i;
  if (upward) {
    from = Math.max(0, from - MORE);
    to = Math.min(to, from + MOST);
  } else {
    to = Math.min(reached, to + MORE);
    from = Math.max(from, to - MOST);
  }
  drawRows();
  const again = i && list.querySelector(`[data-i="${i}"]`);
  if (again) list.scrollTop = again.offsetTop - before;
}

function drawFilters() {
  const agents = R.agents.map((name, i) => [i, name]);
  const open = R.channels.name.map((name, i) => [i, name]).filter(([i]) => chosen.viewer === ALL || R.channels.readers[i].includes(chosen.viewer));
  choices(byId("channel"), [[-1, "all channels"], ...open], chosen.channel);
  choices(byId("one"), [[-1, "all agents"], ...agents], chosen.one);
  choices(byId("other"), [[-1, "with anybody"], ...agents], chosen.other);
  byId("other").disabled = chosen.one < 0;
}

function beginTalk() {
  for (const name of ["channel", "one", "other"]) {
    byId(name).addEventListener("change", (event) => choose({ [name]: Number(event.target.value), message: -1, ...(name === "one" && event.target.value === "-1" ? { other: -1 } : {}) }));
  }
  list.addEventListener("scroll", scrolled, { passive: true });
  new ResizeObserver(() => (seen = Math.min(FEW, Math.ceil(list.clientHeight / LEAST_ROW)) || FEW)).observe(list); // asked for in a frame it would cost a layout
  clicked(list, (event) => {
    const row = event.target.closest("article");
    if (row) choose({ message: Number(row.dataset.i) === chosen.message ? -1 : Number(row.dataset.i) });
  });
  drawers.push(drawTalk);
}

// ---- search ----

const HITS = 100;
let lower = null;

function search() {
  const wanted = byId("search").value.toLowerCase(), out = byId("found");
  out.hidden = wanted.length < 2;
  if (out.hidden) return;
  lower = lower || M.text.map((text) => text.toLowerCase());
  const hits = [];
  let n = 0;
  for (let i = 0; i < lower.length; i++) {
    if (!mayRead(i, chosen.viewer)) continue;
    const place = lower[i].indexOf(wanted);
    if (place >= 0 && (n += 1) <= HITS) hits.push(hit(M.at[i], chip(M.by[i]), M.text[i], place, wanted.length, () => goToMessage(i)));
  }
  (D.what || []).forEach((what, i) => {
    const place = maySee(i, chosen.viewer) ? word(what).toLowerCase().indexOf(wanted) : -1;
    if (place >= 0 && (n += 1) <= HITS) hits.push(hit(D.at[i], D.agent[i] < 0 ? el("span", "chip", R.kinds[D.kind[i]]) : chip(D.agent[i]), word(what), place, wanted.length, () => goTo(D.at[i])));
  });
  put(out, el("p", "none", n ? `${n.toLocaleString("en")} found${n > HITS ? `, the first ${HITS} here` : ""}` : "not found"), hits);
}

function hit(at, by, text, place, length, then) {
  const start = Math.max(0, place - 40), row = el("button", "", el("small", "", momentName(at)), by, el("span", "", start ? "…" : "", text.slice(start, place), el("mark", "", text.slice(place, place + length)), text.slice(place + length, place + length + 80)));
  return clicked(row, () => {
    byId("found").hidden = true;
    then();
  });
}

function beginSearch() {
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("focus", search);
  byId("search").addEventListener("keydown", (event) => {
    const first = byId("found").querySelector("button");
    if (event.key === "Enter" && first) first.click();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".find")) byId("found").hidden = true; });
}
