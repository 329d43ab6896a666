// Figures over time as lines, one an agent; what comes after the moment is faint. A click goes to the moment under it.
const WIDE = 640, HIGH = 190, LEFT = 46, RIGHT = 92, TOP = 12, BOTTOM = 22;

function drawCharts() {
  const out = byId("charts");
  const may = R.series.filter((one) => one.open || chosen.viewer === ALL);
  out.hidden = !may.length;
  if (out.hidden) return;
  const one = may[Math.min(chosen.chart, may.length - 1)];
  put(out, el("h3", "", may.map((other, i) => (may.length > 1 ? clicked(el("button", i === chosen.chart ? "chosen" : "", other.name), () => choose({ chart: i })) : other.name)), el("small", "", one.told)), lines(one));
}

function lines(one) {
  const values = [...one.lines.flatMap((own) => own.value), ...one.marks.map((mark) => mark.value)];
  const low = Math.min(...values, one.name === "prices" ? Infinity : 0), high = Math.max(...values), gap = high - low || 1;
  const x = (at) => LEFT + (LAST ? at / LAST : 0) * (WIDE - LEFT - RIGHT), y = (value) => TOP + (1 - (value - low) / gap) * (HIGH - TOP - BOTTOM);
  const root = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", role: "img", "aria-label": one.name });
  const whole = values.every(Number.isInteger), ticks = [0, 0.5, 1].map((share) => low + share * gap); // counts have no halves
  for (const value of whole ? new Set(ticks.map(Math.round)) : ticks) {
    root.append(svg("line", { x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value), class: "grid" }), svg("text", { x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" }, gap < 10 && !whole ? value.toFixed(2) : String(Math.round(value))));
  }
  for (const mark of one.marks) root.append(svg("line", { x1: LEFT, x2: WIDE - RIGHT, y1: y(mark.value), y2: y(mark.value), class: "level" }), svg("text", { x: WIDE - RIGHT + 4, y: y(mark.value) + 3.5 }, mark.name));
  const labels = [];
  for (const own of one.lines) {
    const n = upTo(own.at, chosen.at), points = own.at.map((at, i) => `${x(at).toFixed(1)} ${y(own.value[i]).toFixed(1)}`);
    const past = points.slice(0, n), chosenOne = own.agent === chosen.agent ? " chosen" : "";
    root.append(svg("polyline", { points: points.slice(Math.max(0, n - 1)).join(" "), class: `path later ${hue(own.agent)}` }), svg("polyline", { points: past.join(" "), class: `path ${hue(own.agent)}${chosenOne}` }));
    if (n) {
      root.append(svg("circle", { cx: x(own.at[n - 1]), cy: y(own.value[n - 1]), r: 3, class: `dot ${hue(own.agent)}` }));
      labels.push([y(own.value[n - 1]), own]);
    }
  }
  labels.sort((a, b) => a[0] - b[0]);
  let lowest = -99;
  for (const [at, own] of labels.slice(0, 14)) {
    lowest = Math.max(at, lowest + 11);
    const near = one.marks.some((mark) => Math.abs(y(mark.value) - lowest) < 9);
    root.append(svg("text", { x: Math.min(WIDE - RIGHT + 4, x(chosen.at) + 8), y: lowest + (near ? 12 : 3.5), class: `label ${hue(own.agent)}` }, R.agents[own.agent].slice(0, 14)));
  }
  root.append(svg("line", { x1: x(chosen.at), x2: x(chosen.at), y1: TOP - 6, y2: HIGH - BOTTOM + 4, class: "cursor" }), svg("text", { x: x(chosen.at), y: HIGH - 6, "text-anchor": "middle" }, phaseOf(chosen.at) || `step ${R.steps.n[chosen.at]}`));
  return clicked(root, (event) => {
    const box = root.getBoundingClientRect();
    goTo(Math.round((((event.clientX - box.left) / box.width) * WIDE - LEFT) / (WIDE - LEFT - RIGHT) * LAST));
  });
}

// Diplomacy: centres and units of each power at the moment.
function centresTable() {
  const now = B.positions[positionAt(chosen.at)], count = (table, power) => table.filter((row) => row[0] === power).length;
  const of = R.powers.map((name, power) => [power, count(now.centres, power), count(now.units, power)]).sort((a, b) => b[1] - a[1]);
  return el("div", "centres", of.map(([power, centres, units]) => {
    const agent = R.agents.indexOf(R.powers[power]);
    return clicked(el("button", agent === chosen.agent ? "chosen" : "", el("span", `chip p${power}`, R.powers[power]), bar(centres / 18, `p${power}`, `${centres} centres, ${units} units`)), () => agent >= 0 && choose({ agent }));
  }));
}
