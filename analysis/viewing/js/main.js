// The page: what stands at its head, which drawing is on the stage, and the first moment.
function drawHead() {
  const messages = `${M.at.length.toLocaleString("en")} messages`, seen = chosen.viewer === ALL ? "" : `As ${agentName(chosen.viewer)} sees it: what others keep to themselves is left out. `;
  put(byId("about"), seen ? el("b", "", seen) : null, `${R.world} · ${R.run} · ${LAST + 1} steps · ${messages} · ${R.ended ? `ended: ${R.ended}` : "not ended when this page was made"}`,
    R.notes.map((note) => el("span", "note", note)), R.labels ? el("span", "note", `planted by the plan ${R.labels.plan}: ${R.labels.pairs.map(([pair, kind]) => `${pair} (${kind})`).join("; ") || "no pair"}`) : null);
  byId("viewer").value = String(chosen.viewer);
  document.body.classList.toggle("asone", chosen.viewer !== ALL);
}

const VIEWS = [];
let viewed = -1;

function drawStage() {
  const view = VIEWS[chosen.view];
  if (viewed !== chosen.view) {
    viewed = chosen.view;
    put(byId("view"), view.root);
    put(byId("views"), VIEWS.map((one, i) => clicked(el("button", i === viewed ? "chosen" : "", one.name), () => choose({ view: i }))));
  }
  view.draw();
}

// `drawn` marks, for those who measure pages, when the first drawing is on the screen.
function beginAll() {
  if (B) {
    const root = el("div", "", beginMap()), table = el("div");
    root.append(table);
    VIEWS.push({ name: "Map", root, draw: drawMap });
    later.push(() => put(table, centresTable()));
  }
  VIEWS.push({ name: "Network", root: beginNetwork(), draw: drawNetwork });
  choices(byId("viewer"), [[ALL, "everybody"], ...R.agents.map((name, i) => [i, name])], ALL);
  byId("viewer").addEventListener("change", (event) => {
    const viewer = Number(event.target.value);
    choose({ viewer, message: -1, channel: -1, ...(viewer >= 0 ? { agent: viewer } : {}) });
  });
  beginTimeline();
  beginTalk();
  beginSearch();
  later.push(drawHead, drawCharts, drawBeside, drawEyes);
  drawers.unshift(drawStage);
  document.addEventListener("keydown", key);
  addEventListener("hashchange", fromAddress);
  fromAddress();
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("drawn")));
}

beginAll();
