// Elements, made of names of our own and of texts: nothing that came from a run is ever read as markup.
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function filled(node, kids) {
  for (const kid of kids.flat(3)) if (kid !== null && kid !== undefined && kid !== false) node.append(kid);
  return node;
}

function el(tag, named, ...kids) {
  const node = document.createElement(tag);
  if (named) node.className = named;
  return filled(node, kids);
}

function svg(tag, attributes, ...kids) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes || {})) if (value !== null) node.setAttribute(key, String(value));
  return filled(node, kids);
}

// The head of an arrow, for lines that name it as their marker; `tip`: which point of it, along its length, lies on a line's end.
function arrowHead(id, tip) {
  const shape = { viewBox: "0 0 8 8", refX: tip, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" };
  return svg("marker", { id, ...shape }, svg("path", { d: "M0 0.5L8 4L0 7.5Z", class: "head" }));
}

function put(node, ...kids) {
  node.replaceChildren();
  return filled(node, kids);
}

function titled(node, title) {
  node.title = title;
  return node;
}

function clicked(node, then) {
  node.addEventListener("click", then);
  return node;
}

function choices(select, rows, chosen) {
  put(select, rows.map(([value, text]) => {
    const option = el("option", "", text);
    option.value = String(value);
    return option;
  }));
  select.value = String(chosen);
}

// A bar of a share from 0 to 1, with what it stands for behind it.
function bar(share, kind, text) {
  const fill = el("i", kind || "");
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return el("span", "bar", el("b", "", fill), el("em", "", text));
}

const fixed = (value, digits) => (value === null || value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(digits));
const percent = (thousandths) => `${Math.round(thousandths / 10)} %`;

function clock(ms) {
  const s = Math.floor(Math.abs(ms) / 1000), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  if (Math.abs(ms) > 1e11) return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
  return `${h ? `${h}:${String(m).padStart(2, "0")}` : m}:${String(s % 60).padStart(2, "0")}`;
}
