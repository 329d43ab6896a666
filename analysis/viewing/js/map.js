// Diplomacy: whose each province is, units, and the orders of the moment as arrows from where they were given. What failed is dashed.
const B = R.board, place = new Map(), positions = B ? B.positions.map((one) => one.at) : [];
let onMap = null;

function beginMap() {
  for (const one of B.atlas.provinces) place.set(one.code, one);
  for (const one of B.atlas.coasts) place.set(one.code, one);
  B.held = heldProvinces();
  const paths = new Map(), under = svg("g"), above = svg("g"), dots = svg("g"), names = svg("g"), live = svg("g");
  for (const d of B.atlas.closed) under.append(svg("path", { d, class: "closed" }));
  for (const one of B.atlas.provinces) {
    const path = svg("path", { d: one.path, class: one.kind === "sea" ? "sea" : "soil", "fill-rule": "evenodd" }, svg("title", {}, `${one.name} (${one.code})`));
    paths.set(one.code, path);
    (one.kind === "sea" ? under : above).append(path);
    names.append(svg("text", { x: one.x, y: one.y + 22, class: `code ${one.kind === "sea" ? "wet" : ""}` }, one.code));
    if (one.centre) dots.append(svg("circle", { cx: one.x + 15, cy: one.y + 8, r: 3.6, class: "centre", "data-code": one.code }));
  }
  onMap = { paths, live, top: svg("text", { x: 68, y: 42, class: "season" }) };
  const viewBox = `52 14 ${B.atlas.wide - 92} ${B.atlas.high - 54}`;
  // what changes in each moment lies over what hardly does, in a layer of its own: the land is not painted again with every order
  return onMap.root = el("div", "map",
    svg("svg", { viewBox, role: "img", "aria-label": "Map of Diplomacy" }, svg("rect", { width: B.atlas.wide, height: B.atlas.high, class: "sea" }), under, above, dots, names),
    svg("svg", { viewBox, class: "over" }, svg("defs", {}, arrowHead("head", 6.5)), live, onMap.top));
}

// After each position: who holds each province, by its centre or, of others, by who stood there last.
function heldProvinces() {
  const found = [];
  let last = new Map();
  for (const one of B.positions) {
    const now = new Map(last);
    for (const [power, , at] of one.units) if (place.get(at.slice(0, 3)).kind !== "sea") now.set(at.slice(0, 3), power);
    for (const { code, centre } of B.atlas.provinces) if (centre) now.delete(code);
    for (const [power, code] of one.centres) now.set(code, power);
    found.push(last = now);
  }
  return found;
}

const positionAt = (at) => upTo(positions, at) - 1;

function drawMap() {
  const n = positionAt(chosen.at), now = B.positions[n], acting = now.at === chosen.at, owners = B.held[n];
  for (const [code, path] of onMap.paths) {
    const power = owners.get(code), of = place.get(code);
    const kind = of.kind === "sea" ? "sea" : power === undefined ? "soil" : `soil held p${power}${of.centre ? "" : " lightly"}`;
    if (path.getAttribute("class") !== kind) path.setAttribute("class", kind);
  }
  const marks = [];
  if (acting) {
    for (const order of now.orders) marks.push(...orderMarks(order));
    const was = new Set(now.units.map(([power, kind, at]) => `${power}${kind}${at}`));
    if (n > 0) for (const [power, kind, at] of B.positions[n - 1].units) if (!was.has(`${power}${kind}${at}`)) marks.unshift(unit(power, kind, at, "ghost"));
  } else if (chosen.agent >= 0 && (chosen.viewer === ALL || chosen.viewer === chosen.agent)) marks.push(...plans(chosen.agent));
  put(onMap.live, marks.filter((one) => one.nodeName !== "g"), now.units.map(([power, kind, at]) => unit(power, kind, at, "")), marks.filter((one) => one.nodeName === "g"));
  onMap.top.textContent = acting ? `${now.phase}: orders and what came of them` : `${now.next || now.phase || "the start"}${chosen.agent >= 0 && phaseOf(chosen.at).endsWith("M") ? `: before the orders; what ${agentName(chosen.agent)} plans` : ""}`;
}

function unit(power, kind, at, more) {
  const { x, y } = place.get(at) || place.get(at.slice(0, 3));
  const shape = kind === "A" ? svg("circle", { cx: x, cy: y, r: 10.5 }) : svg("path", { d: `M${x - 14} ${y - 1}h28l-6 10h-16z M${x - 1} ${y - 3}v-11l11 11z` });
  return svg("g", { class: `unit p${power} ${more}` }, svg("title", {}, `${R.powers[power]} ${kind} ${at}`), shape, kind === "A" ? svg("text", { x, y: y + 4.4 }, "A") : null);
}

// A line from one place towards another that leaves both units free; bent a little to one side, so that two that meet can be told apart.
function line(a, b, kind, headed, bent = 0.08) {
  const dx = b.x - a.x, dy = b.y - a.y, long = Math.hypot(dx, dy) || 1, cut = headed ? Math.min(12, long / 3) : 0;
  const x = b.x - (dx / long) * cut, y = b.y - (dy / long) * cut, mx = (a.x + b.x) / 2 - dy * bent, my = (a.y + b.y) / 2 + dx * bent;
  return svg("path", { d: `M${a.x} ${a.y}Q${mx.toFixed(1)} ${my.toFixed(1)} ${x.toFixed(1)} ${y.toFixed(1)}`, class: kind, "marker-end": headed ? "url(#head)" : null });
}

function orderMarks(order) {
  const at = order.place && place.get(order.place), end = order.to && place.get(order.to), start = order.from && place.get(order.from);
  if (!at) return [];
  const done = order.result === "succeeds", kind = `order p${order.by} ${done ? "" : "failed"}`, told = svg("title", {}, `${R.powers[order.by]} ${order.text}: ${order.result}`);
  const found = [];
  if ((order.kind === "M" || order.kind === "R") && end) found.push(line(at, end, `${kind} ${order.kind === "R" ? "retreat" : "move"}`, true));
  if (order.kind === "S" && start) found.push(line(at, end && end !== start ? { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 } : start, `${kind} support`, false));
  if (order.kind === "C" && start && end) found.push(line(start, at, `${kind} convoy`, false, 0), line(at, end, `${kind} convoy`, true, 0));
  if (order.kind === "H") found.push(svg("circle", { cx: at.x, cy: at.y, r: 14.5, class: `${kind} hold` }));
  if (order.kind === "B") found.push(svg("circle", { cx: at.x, cy: at.y, r: 16, class: `${kind} build` }));
  if (order.kind === "D" || order.result === "dislodged") found.push(svg("path", { d: `M${at.x - 11} ${at.y - 11}l22 22m0 -22l-22 22`, class: "gone" }));
  for (const one of found) one.append(told.cloneNode(true));
  return found;
}

// The likeliest orders in an agent's last intent, each as faint as it is unlikely.
function plans(agent) {
  const own = rows(intentsOf, agent), n = upTo(I.at, chosen.at, own), found = [];
  if (!n || POWER[agent] < 0) return found;
  for (const [, options] of I.what[own[n - 1]]) {
    for (let o = 0; o < Math.min(4, options.length); o += 2) {
      const [, at, kind, target] = word(options[o]).split(" "), a = place.get(at), b = kind === "-" && place.get(target);
      if (!a || !b) continue;
      const arrow = line(a, b, `order plan p${POWER[agent]}`, true);
      arrow.style.opacity = String(0.15 + 0.85 * Math.min(1, options[o + 1] / 1000));
      arrow.append(svg("title", {}, `${word(options[o])}: ${percent(options[o + 1])}`));
      found.push(arrow);
    }
  }
  return found;
}
