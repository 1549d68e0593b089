// Draws the page from its data. Names are set as text, never as markup, and are never in an expression.
const { settings, config } = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { sort: "score", descending: true, views: [], turn: 0 };
const MARKS = { best: "★ best", "not separable": "≈ not separable", separable: "separable", unknown: "? unknown" };
const TOP = new Set(["best", "not separable"]);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const fill = (select, options) => select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
const quantity = (value) => (value === undefined ? "" : value.toLocaleString("en", { maximumSignificantDigits: 3 }));
const setting = () => settings[Number($("setting").value)];
const wanted = (name) => name.toLowerCase().includes($("filter").value.trim().toLowerCase());
const atLength = (bits) => $("bits").value === "all" || bits === null || String(bits) === $("bits").value;

// ---- the table

const lowerIsBetter = () => setting().lower_is_better.includes($("metric").value);
const everyLength = () => $("bits").value === "all";
const COLUMNS = [
  { key: "label", title: "Method", text: (row) => row.label },
  { key: "bits", title: "Bits", number: true, when: everyLength, text: (row) => String(row.bits) },
  { key: "score", number: true, text: (row) => scoreText(row.score) },
  { key: "interval", title: "95% interval", sortable: false, node: interval },
  { key: "verdict", title: "Verdict", text: (row) => (row.score ? MARKS[row.score.verdict] ?? "" : "") },
  { key: "n_seeds", title: "Seeds", number: true, text: (row) => String(row.n_seeds) },
  { key: "fit_s", title: "Fit, s", number: true, text: (row) => quantity(row.fit_s) },
  { key: "encode_items_per_s", title: "Encoded/s", number: true, text: (row) => quantity(row.encode_items_per_s) },
  { key: "search_queries_per_s", title: "Queries/s", number: true, text: (row) => quantity(row.search_queries_per_s) },
  { key: "bytes", title: "Bytes", number: true, when: everyLength, text: (row) => String(row.bytes) },
  { key: "labels", title: "Labels", when: () => setting().rows.some((row) => row.uses_labels), text: (row) => (row.uses_labels ? "used" : "") },
  { key: "date", title: "Date", text: (row) => row.date },
];

function scoreText(score) {
  if (!score) return "";
  return score.mean.toFixed(4) + (score.std === null ? "" : ` ± ${score.std.toFixed(4)}`);
}

function interval(row, low, high) {
  const score = row.score;
  if (!score || score.low === null) return "";
  const at = (value) => `${(100 * (value - low)) / (high - low || 1)}%`;
  const [line, point] = [document.createElement("i"), document.createElement("b")];
  line.style.left = at(score.low);
  line.style.width = `${(100 * (score.high - score.low)) / (high - low || 1)}%`;
  point.style.left = at(score.mean);
  const drawn = make("span", { class: "interval", "aria-hidden": "true" }, line, point);
  return [`${score.low.toFixed(4)} – ${score.high.toFixed(4)} `, drawn];
}

function sortValue(row, key) {
  if (key === "score") return row.score?.mean;
  if (key === "verdict") return row.score?.verdict ? Object.keys(MARKS).indexOf(row.score.verdict) : undefined;
  if (key === "labels") return Number(row.uses_labels);
  return row[key];
}

function compareRows(one, other) {
  const [a, b] = [sortValue(one, state.sort), sortValue(other, state.sort)];
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
  return state.descending ? -order : order;
}

function shownRows() {
  return setting()
    .rows.filter((row) => atLength(row.bits) && wanted(row.label))
    .map((row) => ({ ...row, ...row.timings, score: row.scores[$("metric").value] }))
    .filter((row) => !$("verdict-filter").value || TOP.has(row.score?.verdict))
    .filter((row) => !$("without-labels").checked || !row.uses_labels)
    .sort(compareRows);
}

function drawTable() {
  const rows = shownRows();
  const columns = COLUMNS.filter((column) => !column.when || column.when());
  const scores = rows.map((row) => row.score).filter(Boolean);
  const low = Math.min(...scores.map((score) => score.low ?? score.mean));
  const high = Math.max(...scores.map((score) => score.high ?? score.mean));
  $("table").tHead.replaceChildren(make("tr", {}, ...columns.map(head)));
  $("table").tBodies[0].replaceChildren(...rows.map((row) => line(row, columns, low, high)));
  const all = setting().rows.filter((row) => atLength(row.bits)).length;
  $("count").textContent = `${rows.length} of ${all} rows`;
}

function head(column) {
  const cell = make("th", { scope: "col", class: column.number ? "number" : "" });
  const title = column.title ?? setting().axes[$("metric").value];
  if (column.sortable === false) {
    cell.append(title);
    return cell;
  }
  const button = make("button", { type: "button", "data-sort": column.key }, title);
  button.addEventListener("click", () => sortBy(column));
  if (state.sort === column.key) cell.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
  cell.append(button);
  return cell;
}

function sortBy(column) {
  state.descending = state.sort === column.key ? !state.descending : column.key === "score" && !lowerIsBetter();
  state.sort = column.key;
  drawTable();
  document.querySelector(`[data-sort="${column.key}"]`).focus();
}

function line(row, columns, low, high) {
  const kind = { best: "best", "not separable": "close" }[row.score?.verdict] ?? "";
  const cells = columns.map((column) => {
    if (column.key === "label") return make("th", { scope: "row" }, make("bdi", {}, row.label));
    const content = column.node ? column.node(row, low, high) : column.text(row);
    return make("td", { class: column.number ? "number" : "" }, ...[content].flat());
  });
  return make("tr", { class: kind }, ...cells);
}

// ---- the figures

const FONT = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

function shownFigures() {
  const panels = new Map();
  for (const figure of setting().figures) {
    if (!atLength(figure.bits) || (figure.metric && figure.metric !== $("metric").value)) continue;
    panels.set(figure.panel, [...(panels.get(figure.panel) ?? []), figure]);
  }
  return panels;
}

function drawFigures() {
  state.views.splice(0).forEach((view) => view.finalize());
  state.turn += 1;
  const panels = shownFigures();
  const waiting = [];
  for (const panel of document.querySelectorAll(".panel")) {
    const figures = chosen(panel, panels.get(panel.id) ?? []);
    panel.hidden = !figures.length;
    const drawn = figures.map((figure, number) => figureElement(figure, `${panel.id}-${number}`));
    panel.querySelector(".figures").replaceChildren(...drawn.map(([element]) => element));
    waiting.push(...drawn.map(([, draw]) => draw));
  }
  drawInTurn(waiting, state.turn);
}

async function drawInTurn(waiting, turn) {
  document.body.dataset.drawing = "yes";
  for (const draw of waiting) {
    if (turn !== state.turn) return;
    await draw();
  }
  if (turn === state.turn) document.body.dataset.drawing = "no";
}

function chosen(panel, figures) {
  const label = panel.querySelector(".choice");
  const select = label.querySelector("select");
  const before = select.value;
  const choices = [...new Set(figures.map((figure) => figure.choice))].filter((choice) => choice && wanted(choice));
  fill(select, choices.map((choice) => [choice, choice]));
  if (choices.includes(before)) select.value = before;
  label.hidden = choices.length < 2;
  select.onchange = drawFigures;
  return figures.filter((figure) => !figure.choice || figure.choice === select.value);
}

function figureElement(figure, id) {
  const chart = make("div", { class: "chart", role: "img", "aria-labelledby": `${id}-title ${id}-alt` });
  const numbers = make("details", {}, make("summary", {}, "Numbers"));
  const rows = rowsOf(figure);
  numbers.addEventListener("toggle", () => numbers.children.length > 1 || numbers.append(tableOf(rows, figure.title)));
  const title = make("figcaption", { id: `${id}-title` }, figure.title);
  const element = make("figure", {}, title, chart, make("p", { class: "alt", id: `${id}-alt` }, figure.alt), numbers);
  return [element, () => embed(chart, figure.spec, rows)];
}

function rowsOf(figure) {
  const names = Object.keys(figure.columns);
  const rows = figure.columns[names[0]].map((_, at) => Object.fromEntries(names.map((name) => [name, figure.columns[name][at]])));
  return rows.filter(isShown);
}

const isShown = (row) => !setting().labels.includes(row.name) || wanted(row.name);

async function embed(chart, spec, points) {
  const narrow = chart.clientWidth < 480; // numbers in the cells of a heat map would run into each other
  const layers = spec.layer && { layer: spec.layer.filter((layer) => !narrow || layer.mark?.type !== "text" || layer.params) };
  const full = { ...spec, ...layers, datasets: { key: (spec.datasets?.key ?? []).filter(isShown), points }, autosize: { type: "fit-x", contains: "padding" }, background: null, config: { ...config, font: FONT } };
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, hover: true };
  const { view } = await window.vegaEmbed(chart, full, options);
  chart.querySelector("svg").setAttribute("aria-hidden", "true"); // the figure's title and description stand for it
  state.views.push(view);
}

function tableOf(rows, title) {
  const names = Object.keys(rows[0] ?? {}).filter((name) => name !== "order");
  const cell = (value) => make("td", { class: typeof value === "number" ? "number" : "" }, String(value ?? ""));
  const body = rows.map((row) => make("tr", {}, ...names.map((name) => cell(row[name]))));
  const top = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const table = make("table", {}, make("thead", {}, top), make("tbody", {}, ...body));
  return make("div", { class: "scroll", role: "region", "aria-label": `Numbers: ${title}`, tabindex: "0" }, table);
}

// ---- the gallery

function drawGallery() {
  const gallery = setting().gallery;
  $("gallery").hidden = !gallery;
  if (!gallery) return;
  const kept = $("query").value;
  fill($("query"), gallery.queries.map((query, n) => [n, query.label ? `item ${query.row}, class ${query.label}` : `item ${query.row}`]));
  if (kept && gallery.queries[kept]) $("query").value = kept;
  const number = Number($("query").value);
  const query = gallery.queries[number];
  const rankings = gallery.rankings.filter((one) => one.query === number && atLength(one.bits) && wanted(one.method));
  const asked = make("img", { class: "thumb", src: gallery.images[query.row], alt: `query, item ${query.row}` });
  $("rankings").replaceChildren(asked, ...rankings.flatMap((one) => ranking(one, gallery.images)));
}

function ranking(one, images) {
  const right = one.items.filter(([, , relevant]) => relevant).length;
  const last = one.items.at(-1)[1];
  const ties = one.ties ? `; ${one.ties.toLocaleString("en")} more at distance ${last}` : "";
  const title = make("h3", {}, make("bdi", {}, one.method), `, ${one.bits} bits: ${right} of ${one.items.length} right${ties}`);
  return [title, make("ol", { class: "ranking" }, ...one.items.map((item) => retrieved(item, images)))];
}

function retrieved([row, distance, relevant], images) {
  const alt = `item ${row}, ${relevant ? "relevant" : "not relevant"}`;
  const image = make("img", { class: "thumb", src: images[row], alt });
  const caption = make("span", { "aria-hidden": "true" }, relevant ? "✓ " : "✗ ");
  return make("li", { class: relevant ? "right" : "wrong" }, image, caption, String(distance));
}

// ---- provenance, and what follows a choice

function drawAbout() {
  const one = setting();
  const methods = `${one.labels.length} method${one.labels.length > 1 ? "s" : ""}`;
  $("about").textContent = `${one.dataset} (${one.provenance || "provenance unknown"}), protocol ${one.protocol}, features: ${one.backbone}; ${methods} at ${one.bits.join(", ")} bits; from ${one.origin}`;
  const facts = Object.entries(one.facts).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  $("facts").replaceChildren(...facts);
  $("notes").replaceChildren(...one.notes.map((note) => make("li", {}, note)));
  const target = $("evidence").querySelector(".scroll");
  target.replaceChildren();
  const show = () => target.children.length || target.append(tableOf(one.evidence, "records").firstChild);
  $("evidence").ontoggle = show;
  if ($("evidence").open) show();
}

function drawVerdict() {
  const lines = setting().summaries.filter((one) => atLength(one.bits) && one.metric === $("metric").value);
  $("verdict").replaceChildren(...lines.flatMap((one) => [one.text, document.createElement("br")]));
}

function draw() {
  drawVerdict();
  drawTable();
  drawGallery();
  drawFigures();
}

function fullestLength(one) {
  const count = (bits) => one.rows.filter((row) => row.bits === bits).length;
  return one.bits.reduce((best, bits) => (count(bits) >= count(best) ? bits : best));
}

function chooseSetting() {
  const one = setting();
  const kept = { bits: $("bits").value, metric: $("metric").value };
  fill($("bits"), [...one.bits.map((bits) => [bits, `${bits} bits`]), ["all", "all lengths"]]);
  $("bits").value = one.bits.map(String).concat("all").includes(kept.bits) ? kept.bits : String(fullestLength(one));
  fill($("metric"), one.metrics.map((metric) => [metric, metric]));
  if (one.metrics.includes(kept.metric)) $("metric").value = kept.metric;
  bestFirst();
  drawAbout();
  draw();
}

function bestFirst() {
  if (state.sort === "score") state.descending = !lowerIsBetter();
}

let typing;
$("setting").addEventListener("change", chooseSetting);
$("metric").addEventListener("change", bestFirst);
for (const id of ["bits", "metric"]) $(id).addEventListener("change", draw);
for (const id of ["verdict-filter", "without-labels"]) $(id).addEventListener("change", drawTable);
$("query").addEventListener("change", drawGallery);
$("filter").addEventListener("input", () => {
  drawTable();
  clearTimeout(typing);
  typing = setTimeout(draw, 250);
});
$("controls").addEventListener("submit", (event) => event.preventDefault());
chooseSetting();
