// The timeline: how much was said in each step, where phases begin, where something went wrong or was changed; and the moment, to be moved along it.
const scrub = byId("scrub"), canvas = byId("bars");
const begins = R.steps.phase.map((phase, at) => (at === 0 || phase !== R.steps.phase[at - 1] ? at : -1)).filter((at) => at >= 0 && phaseOf(at));
const marked = [];
(D.kind || []).forEach((kind, i) => {
  const name = R.kinds[kind];
  if (name === "fault" || name === "intervention") marked.push([i, name]);
});
let playing = null, barsOf = ALL;

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(name).trim();
}

function drawBars() {
  const wide = canvas.clientWidth, high = canvas.clientHeight, scale = window.devicePixelRatio || 1, g = canvas.getContext("2d"), colour = colours(), said = new Array(LAST + 1).fill(0);
  barsOf = chosen.viewer;
  for (let i = 0; i < M.at.length; i++) if (mayRead(i, barsOf)) said[M.at[i]] += 1;
  canvas.width = wide * scale;
  canvas.height = high * scale;
  g.scale(scale, scale);
  const most = said.reduce((a, b) => Math.max(a, b), 1), x = (at) => 8 + (LAST ? (at / LAST) * (wide - 16) : 0), each = Math.max(1, (wide - 16) / (LAST + 1) - 1);
  const base = high - 15;
  g.fillStyle = colour("--bar");
  said.forEach((n, at) => n && g.fillRect(x(at) - each / 2, base - (n / most) * (base - 4), each, (n / most) * (base - 4)));
  g.font = "10px system-ui, sans-serif";
  g.fillStyle = colour("--quiet");
  let right = -99;
  for (const at of begins) {
    g.fillRect(Math.round(x(at)), 2, 1, base);
    const name = phaseOf(at).slice(0, 16);
    if (x(at) > right) {
      g.fillText(name, Math.min(x(at) + 2, wide - 40), high - 3);
      right = x(at) + g.measureText(name).width + 10;
    }
  }
  for (const [i, kind] of marked) {
    if (!maySee(i, barsOf)) continue;
    g.fillStyle = colour(kind === "fault" ? "--bad" : "--mark");
    g.beginPath();
    g.arc(x(D.at[i]), 5, 3, 0, 7);
    g.fill();
  }
}

function drawTime() {
  if (barsOf !== chosen.viewer) drawBars();
  scrub.value = String(chosen.at);
  scrub.setAttribute("aria-valuetext", momentName(chosen.at));
  put(byId("now"), el("b", "", phaseOf(chosen.at) || "step"), ` step ${R.steps.n[chosen.at]} of ${R.steps.n[LAST]} · ${clock(R.steps.end[chosen.at])}`);
}

function phaseFrom(at, way) {
  const others = way > 0 ? begins.filter((one) => one > at) : begins.filter((one) => one < at);
  return others.length ? (way > 0 ? others[0] : others[others.length - 1]) : way > 0 ? LAST : 0;
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (chosen.at < LAST ? goTo(chosen.at + 1) : play(false)), 900 / Number(byId("speed").value)) : null;
  if (on && chosen.at === LAST) goTo(0);
  byId("play").textContent = on ? "❙❙" : "Play";
  byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

function beginTimeline() {
  scrub.max = String(LAST);
  scrub.addEventListener("input", () => goTo(Number(scrub.value)));
  clicked(byId("first"), () => goTo(0));
  clicked(byId("last"), () => goTo(LAST));
  clicked(byId("back"), () => goTo(chosen.at - 1));
  clicked(byId("on"), () => goTo(chosen.at + 1));
  clicked(byId("play"), () => play(playing === null));
  byId("speed").addEventListener("change", () => playing !== null && play(true));
  new ResizeObserver(drawBars).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawBars);
  drawers.push(drawTime);
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=range]), select, textarea");
  if (event.key === "/" && !typing) byId("search").focus();
  else if (event.key === "Escape") event.target.blur();
  else if (typing) return;
  else if (event.key === " ") play(playing === null);
  else if (event.key === "ArrowRight") goTo(event.shiftKey ? phaseFrom(chosen.at, 1) : chosen.at + 1);
  else if (event.key === "ArrowLeft") goTo(event.shiftKey ? phaseFrom(chosen.at, -1) : chosen.at - 1);
  else if (event.key === "Home") goTo(0);
  else if (event.key === "End") goTo(LAST);
  else return;
  event.preventDefault();
}
