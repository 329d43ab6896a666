// What is chosen: the moment, whose eyes, what is listed; everything that is drawn follows it. It stands in the address, so that it can be sent.
const chosen = { at: 0, viewer: ALL, agent: AGENTS ? 0 : -1, message: -1, channel: -1, one: -1, other: -1, view: 0, chart: 0 };
const drawers = [], later = [], PAUSE = 250; // milliseconds at least between two drawings of what may lag behind a hand on the scrubber
let asked = false, told = null, lagging = null, drawnLast = -PAUSE;

// Draw once a frame, whatever was changed in it; large tables, while the moment runs, a few times a second, and when it stands still.
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    for (const one of drawers) one();
    if (performance.now() - drawnLast >= PAUSE) drawRest();
    else if (lagging === null) lagging = setTimeout(drawRest, PAUSE);
  });
}

function drawRest() {
  clearTimeout(lagging);
  lagging = null;
  for (const one of later) one();
  drawnLast = performance.now();
}

function choose(change) {
  Object.assign(chosen, change);
  chosen.at = Math.max(0, Math.min(LAST, chosen.at));
  draw();
  clearTimeout(told);
  told = setTimeout(tellAddress, 250);
}

const goTo = (at) => choose({ at, message: -1 });

function goToMessage(i) {
  choose({ at: Math.max(M.at[i], chosen.viewer === ALL ? 0 : readAt(i, chosen.viewer)), message: i, channel: -1, one: -1, other: -1 });
}

function address() {
  const at = new URLSearchParams();
  at.set("step", R.steps.n[chosen.at]);
  if (chosen.message >= 0) at.set("message", M.id[chosen.message]);
  if (chosen.agent >= 0) at.set("agent", R.agents[chosen.agent]);
  if (chosen.viewer !== ALL) at.set("as", R.agents[chosen.viewer]);
  return `#${at}`;
}

function tellAddress() {
  try {
    history.replaceState(null, "", address());
  } catch { /* a browser that counts how often: the next change tells it */ }
}

function fromAddress() {
  const at = new URLSearchParams(location.hash.slice(1)), change = {};
  const step = R.steps.n.indexOf(Number(at.get("step"))), message = M.id.indexOf(at.get("message")), agent = R.agents.indexOf(at.get("agent"));
  const viewer = R.agents.indexOf(at.get("as"));
  if (at.has("step") && step >= 0) change.at = step;
  if (message >= 0) Object.assign(change, { message, at: at.has("step") && step >= M.at[message] ? step : M.at[message] });
  if (agent >= 0) change.agent = agent;
  if (viewer >= 0) Object.assign(change, { viewer, agent: viewer });
  choose(change);
}
