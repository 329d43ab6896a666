// Who talks with whom: a line between two is as thick as what they have written to each other by now; what is said in this moment stands out.
let onNet = null;

function beginNetwork() {
  const high = Math.max(420, Math.min(760, 60 + AGENTS * 14)), wide = Math.max(640, high * 1.2), spots = [];
  for (let i = 0; i < AGENTS; i++) {
    const turn = (2 * Math.PI * i) / Math.max(1, AGENTS) - Math.PI / 2;
    spots.push({ x: wide / 2 + Math.cos(turn) * (wide / 2 - 96), y: high / 2 + Math.sin(turn) * (high / 2 - 64), turn });
  }
  const live = svg("g"), nodes = svg("g");
  const small = AGENTS > 24;
  spots.forEach(({ x, y, turn }, i) => {
    const side = Math.cos(turn), anchor = Math.abs(side) < 0.2 ? "middle" : side > 0 ? "start" : "end", off = anchor === "middle" ? 0 : Math.sign(side) * (small ? 9 : 29);
    const node = svg("g", { class: `node ${hue(i)}` }, svg("circle", { cx: x, cy: y, r: small ? 5 : 13 }), svg("text", { x: x + off, y: y + 4 + (anchor === "middle" ? Math.sign(Math.sin(turn)) * (small ? 12 : 34) : 0), "text-anchor": anchor }, R.agents[i].length > 18 ? `${R.agents[i].slice(0, 17)}…` : R.agents[i]), svg("title", {}, R.agents[i]));
    nodes.append(clicked(node, () => choose({ agent: i })));
  });
  onNet = { spots, live, nodes, note: svg("text", { x: 14, y: 24, class: "season" }) };
  return svg("svg", { viewBox: `0 0 ${wide} ${high}`, class: "net", role: "img", "aria-label": "Who talks with whom" }, svg("defs", {}, arrowHead("talks", 7)), live, nodes, onNet.note);
}

// Whom a message goes to as a network has it: its addressees or, of few readers, all; of a room nobody alone.
function towards(i) {
  const readers = readersOf(i).filter((agent) => agent !== M.by[i]);
  if (M.to[i].length && M.to[i].length <= 3) return M.to[i].filter((agent) => agent !== M.by[i]);
  return readers.length <= 3 ? readers : NONE;
}

function drawNetwork() {
  const counts = new Map(), now = new Set(), room = new Map();
  const until = upTo(M.at, chosen.at);
  let seen = 0, most = 1, rooms = 1;
  for (let i = 0; i < until; i++) {
    const by = M.by[i];
    if (by < 0 || !mayRead(i, chosen.viewer)) continue;
    seen += 1;
    const whom = towards(i);
    for (const other of whom) {
      const key = Math.min(by, other) * AGENTS + Math.max(by, other), n = (counts.get(key) || 0) + 1;
      counts.set(key, n);
      if (n > most) most = n;
      if (M.at[i] === chosen.at) now.add(by * AGENTS + other);
    }
    if (!whom.length && readersOf(i).length > 1) {
      room.set(by, (room.get(by) || 0) + 1);
      rooms = Math.max(rooms, room.get(by));
      if (M.at[i] === chosen.at) now.add(-1 - by);
    }
  }
  const drawn = [], { spots } = onNet;
  const strongest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 600);
  for (const [key, n] of strongest) {
    const a = spots[Math.floor(key / AGENTS)], b = spots[key % AGENTS];
    const edge = svg("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, class: "edge" }, svg("title", {}, `${agentName(Math.floor(key / AGENTS))} and ${agentName(key % AGENTS)}: ${n} messages`));
    edge.style.strokeWidth = String(1 + 9 * Math.sqrt(n / most));
    drawn.push(edge);
  }
  for (const [by, n] of room) {
    const ring = svg("circle", { cx: spots[by].x, cy: spots[by].y, r: 15 + 9 * Math.sqrt(n / rooms), class: `ring ${hue(by)}${now.has(-1 - by) ? " now" : ""}` }, svg("title", {}, `${agentName(by)}: ${n} messages to the room`));
    drawn.push(ring);
  }
  for (const key of now) {
    if (key < 0) continue;
    const a = spots[Math.floor(key / AGENTS)], b = spots[key % AGENTS];
    drawn.push(line(a, { x: b.x - (b.x - a.x) * 0.04, y: b.y - (b.y - a.y) * 0.04 }, `says ${hue(Math.floor(key / AGENTS))}`, false, 0.06));
    drawn[drawn.length - 1].setAttribute("marker-end", "url(#talks)");
  }
  put(onNet.live, drawn);
  [...onNet.nodes.children].forEach((node, i) => node.setAttribute("class", `node ${hue(i)}${i === chosen.agent ? " chosen" : ""}`));
  onNet.note.textContent = `${seen.toLocaleString("en")} messages so far`;
}
