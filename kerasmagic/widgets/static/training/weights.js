// Histograms of weights, gradients and outputs: as they are now, or over time as a heat map.

const KINDS = { weights: "weights", gradients: "gradients", outputs: "layer outputs" };
const TYPING_PAUSE = 250;

function buildWeights(root, send) {
  const head = make("div", "km-weights-head", root);
  const kinds = make("span", "km-weights-kinds", head);
  kinds.setAttribute("role", "radiogroup");
  kinds.setAttribute("aria-label", "What the histograms show");
  const group = `km-kind-${Math.random().toString(36).slice(2)}`;
  const radios = Object.entries(KINDS).map(([value, label]) => {
    const box = make("label", "", kinds);
    const radio = make("input", "", box);
    Object.assign(radio, { type: "radio", name: group, value, checked: value === "weights" });
    setText(make("span", "", box), label);
    return radio;
  });
  const box = make("label", "", head);
  const time = make("input", "", box);
  time.type = "checkbox";
  box.append("over time");
  const words = make("input", "km-weights-words", head);
  Object.assign(words, { type: "search", placeholder: "name" });
  words.setAttribute("aria-label", "Show only names that hold these words");
  const note = make("span", "km-soft km-weights-note", head);
  // A notebook would take letters and arrow keys for its own commands.
  for (const input of [...radios, time, words]) input.dataset.lmSuppressShortcuts = "true";
  const cells = make("div", "km-weights", root);
  cells.tabIndex = 0;
  cells.setAttribute("role", "group");
  cells.setAttribute("aria-label", "Histograms");
  const choose = () => {
    const show = radios.find((radio) => radio.checked).value;
    send({ kind: "choose", show, over_time: time.checked, words: words.value });
  };
  for (const input of [...radios, time]) input.addEventListener("change", choose);
  let typing = 0;
  words.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(choose, TYPING_PAUSE);
  });
  return { head, radios, time, words, note, cells, shown: [] };
}

function buildHistogram(parent, item) {
  const box = make("div", "km-histogram", parent, { variable: item.name });
  const name = make("div", "km-histogram-name", box);
  name.title = item.name;
  setText(make("span", "km-histogram-owner", name), item.owner);
  setText(make("span", "", name), item.label);
  const note = make("span", "km-histogram-note", name);
  const picture = item.rows ? make("canvas", "km-strip", box) : box.appendChild(emptyPlot());
  picture.setAttribute("role", "img");
  const range = make("div", "km-histogram-range", box);
  const [low, high] = [make("span", "", range), make("span", "", range)];
  return { name: item.name, strip: Boolean(item.rows), picture, note, low, high };
}

function emptyPlot() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.append(document.createElementNS(SVG, "path"));
  return svg;
}

function histogramPath(counts) {
  const top = counts.reduce((a, b) => Math.max(a, b), 0) || 1;
  let path = "M0 100";
  counts.forEach((value, i) => {
    path += `V${(100 - (98 * value) / top).toFixed(1)}H${i + 1}`;
  });
  return `${path}V100Z`;
}

function drawCounts(svg, item, numbers) {
  const counts = numbers.subarray(item.offset, item.offset + item.count);
  setAttribute(svg, "viewBox", `0 0 ${item.count || 1} 100`);
  setAttribute(svg.firstChild, "d", histogramPath(counts));
}

// One pixel of the canvas is one bin at one moment; the page scales it. Shades are opacities of the accent.
function drawStrip(canvas, item, bytes, theme) {
  if (canvas.width !== item.columns || canvas.height !== item.rows) {
    Object.assign(canvas, { width: item.columns, height: item.rows });
  }
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(item.columns, item.rows);
  const [red, green, blue] = (theme.accent.match(/[\d.]+/g) ?? [25, 118, 210]).map(Number);
  for (let i = 0; i < item.rows * item.columns; i += 1) {
    image.data.set([red, green, blue, bytes[item.offset + i]], 4 * i);
  }
  pen.putImageData(image, 0, 0);
}

// What the kernel says counts when it changes: until then a reader's choice is on its way.
function showChoice(dom, view) {
  const said = JSON.stringify([view.kind, view.over_time, view.words]);
  if (dom.said === said) return;
  dom.said = said;
  for (const radio of dom.radios) radio.checked = radio.value === view.kind;
  dom.time.checked = view.over_time;
  if (document.activeElement !== dom.words) dom.words.value = view.words;
}

function showWeights(dom, view, items, data, theme) {
  showChoice(dom, view);
  setText(dom.note, view.caption);
  setAttribute(dom.cells, "data-empty", view.empty || "drawn when the first batches are done");
  const fits = (one, i) => one.name === items[i].name && one.strip === Boolean(items[i].rows);
  if (dom.shown.length !== items.length || !dom.shown.every(fits)) {
    dom.cells.replaceChildren();
    dom.shown = items.map((item) => buildHistogram(dom.cells, item));
  }
  const bytes = new Uint8Array(data?.buffer ?? new ArrayBuffer(0), data?.byteOffset ?? 0, data?.byteLength ?? 0);
  const numbers = items.length && !items[0].rows ? floats(data) : null;
  items.forEach((item, i) => {
    const cell = dom.shown[i];
    if (item.rows) drawStrip(cell.picture, item, bytes, theme);
    else drawCounts(cell.picture, item, numbers);
    const when = item.rows ? `, from step ${view.first} to ${view.last}` : "";
    setAttribute(cell.picture, "aria-label", item.summary + when);
    cell.picture.title = item.summary + when;
    setText(cell.note, item.note);
    setText(cell.low, item.rows ? `${item.low} … ${item.high}` : item.low);
    setText(cell.high, item.rows ? "" : item.high);
  });
}
