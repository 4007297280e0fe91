// Draws the training view. The kernel sends finished texts, ticks and float32 points; this file only puts them on the page.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 46, right: 8, top: 8, bottom: 20 };
const GRID_ALPHA = 0.65;
const THEME_ATTRIBUTES = ["data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-kind", "class"];

function make(tag, className, parent, data = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  Object.assign(node.dataset, data);
  parent?.append(node);
  return node;
}

// Writing only what changed keeps screen readers and layout quiet.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function floats(view) {
  if (!view || !view.byteLength) return new Float32Array(0);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function buildHead(root, onStop) {
  const head = make("div", "km-head", root);
  const title = make("span", "km-title", head);
  const about = make("span", "km-about", head);
  const status = make("span", "km-status", head);
  status.setAttribute("role", "status");
  const stop = make("button", "km-stop", head);
  stop.type = "button";
  stop.addEventListener("click", onStop);
  return { title, about, status, stop };
}

function buildFigure(parent, name) {
  const box = make("div", "km-figure", parent, { figure: name });
  return {
    label: make("div", "km-label", box),
    value: make("div", "km-value", box),
    note: make("div", "km-note", box),
  };
}

function buildFigures(root) {
  const row = make("div", "km-figures", root);
  const figures = { main: buildFigure(row, "main"), time: buildFigure(row, "time") };
  const small = make("div", "km-small", row);
  for (const name of ["epoch", "batch", "speed"]) figures[name] = buildFigure(small, name);
  return figures;
}

function buildBar(root, name, label) {
  const bar = make("div", "km-bar", root, { bar: name });
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", label);
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "100");
  make("div", "", bar);
  return bar;
}

function build(el, onStop) {
  const root = make("div", "km-training", el, { state: "empty" });
  const head = buildHead(root, onStop);
  const figures = buildFigures(root);
  const bars = { run: buildBar(root, "run", "Training progress"), epoch: buildBar(root, "epoch", "Progress of this epoch") };
  const message = make("div", "km-message", root);
  message.setAttribute("role", "alert");
  const charts = make("div", "km-charts", root);
  const weightsHead = make("div", "km-weights-head", root);
  setText(make("span", "", weightsHead), "weights");
  const weightsNote = make("span", "km-soft", weightsHead);
  const weights = make("div", "km-weights", root);
  weights.tabIndex = 0;
  weights.setAttribute("role", "group");
  weights.setAttribute("aria-label", "Weight histograms");
  return { root, ...head, figures, bars, message, charts, weightsHead, weightsNote, weights };
}

function buildSeries(parent, name, label) {
  const box = make("span", "km-series", parent, { series: name });
  make("span", "km-swatch", box);
  box.append(label);
  return make("b", "", box);
}

function buildChart(parent, row, hasValidation) {
  const box = make("figure", "km-chart", parent, { metric: row.name });
  const head = make("figcaption", "km-chart-head", box);
  setText(make("span", "km-chart-name", head), row.label);
  const train = buildSeries(head, "train", "training");
  const validation = hasValidation ? buildSeries(head, "validation", "validation") : null;
  const canvas = make("canvas", "km-plot", box);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", row.label);
  return { name: row.name, train, validation, canvas };
}

function showBar(bar, fraction, text) {
  bar.firstChild.style.width = `${(100 * fraction).toFixed(2)}%`;
  setAttribute(bar, "aria-valuenow", Math.round(100 * fraction));
  setAttribute(bar, "aria-valuetext", text);
}

function showReadout(dom, view, stopping) {
  dom.root.dataset.state = view.state;
  dom.root.dataset.status = view.status;
  for (const key of ["title", "about", "status", "message"]) setText(dom[key], view[key]);
  dom.title.title = view.title;
  const running = view.state === "running" || view.state === "compiling";
  dom.stop.hidden = !running;
  dom.stop.disabled = stopping;
  setText(dom.stop, stopping ? "Stopping" : "Stop");
  for (const figure of [...view.main, ...view.figures]) {
    for (const part of ["label", "value", "note"]) setText(dom.figures[figure.name][part], figure[part]);
    dom.figures[figure.name].value.classList.toggle("km-soft", figure.value === "–");
  }
  showBar(dom.bars.run, view.progress, view.progress_text);
  showBar(dom.bars.epoch, view.epoch_progress, `${Math.round(100 * view.epoch_progress)} % of the epoch`);
  setText(dom.weightsNote, view.weights);
}

function syncCharts(dom, charts, view) {
  const same = charts.length === view.rows.length && charts.every((chart, i) => chart.name === view.rows[i].name);
  if (!same) {
    dom.charts.replaceChildren();
    charts = view.rows.map((row) => buildChart(dom.charts, row, view.has_validation));
  }
  view.rows.forEach((row, i) => {
    setText(charts[i].train, row.train);
    if (charts[i].validation) setText(charts[i].validation, row.validation);
  });
  return charts;
}

// The computed colour of an element is concrete where a custom property may still be an expression.
function readTheme(dom) {
  const colour = (node) => getComputedStyle(node).color;
  const style = getComputedStyle(dom.root);
  const probe = make("span", "km-accent", dom.root);
  const accent = colour(probe);
  probe.className = "km-line";
  const line = colour(probe);
  probe.remove();
  return { ink: style.color, soft: colour(dom.about), accent, line, font: `11px ${style.fontFamily}` };
}

function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

function scales(chart, width, height) {
  const across = (width - MARGIN.left - MARGIN.right) / (chart.x.high - chart.x.low || 1);
  const down = (height - MARGIN.top - MARGIN.bottom) / (chart.y.high - chart.y.low || 1);
  return {
    x: (value) => MARGIN.left + (value - chart.x.low) * across,
    y: (value) => height - MARGIN.bottom - (value - chart.y.low) * down,
  };
}

function drawAxes(pen, chart, scale, theme, width, height) {
  pen.strokeStyle = theme.line;
  pen.fillStyle = theme.soft;
  pen.font = theme.font;
  pen.lineWidth = 1;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const levels = chart.y.ticks.length ? chart.y.ticks : [[chart.y.low, ""]];
  for (const [value, label] of levels) {
    const y = Math.round(scale.y(value)) + 0.5;
    pen.beginPath();
    pen.moveTo(MARGIN.left, y);
    pen.lineTo(width - MARGIN.right, y);
    pen.globalAlpha = GRID_ALPHA;
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillText(label, MARGIN.left - 6, y);
  }
  pen.textBaseline = "alphabetic";
  pen.textAlign = "left";
  pen.fillText(chart.x.label, 0, height - 5);
  pen.textAlign = "center";
  for (const [value, label] of chart.x.ticks) {
    const half = pen.measureText(label).width / 2;
    pen.fillText(label, Math.min(scale.x(value), width - half), height - 5);
  }
}

function drawLine(pen, series, points, scale, theme) {
  const look = {
    step: { colour: theme.accent, width: 1, alpha: 0.5, dash: [] },
    epoch: { colour: theme.accent, width: 2, alpha: 1, dash: [] },
    validation: { colour: theme.ink, width: 1.5, alpha: 1, dash: [5, 3] },
  }[series.kind];
  pen.save();
  Object.assign(pen, { strokeStyle: look.colour, lineWidth: look.width, globalAlpha: look.alpha, lineJoin: "round" });
  pen.setLineDash(look.dash);
  pen.beginPath();
  let pendown = false;
  for (let i = 0; i < series.count; i += 1) {
    const x = points[series.offset + i];
    const y = points[series.offset + series.count + i];
    if (!Number.isFinite(y)) pendown = false;
    else if (pendown) pen.lineTo(scale.x(x), scale.y(y));
    else {
      pen.moveTo(scale.x(x), scale.y(y));
      pendown = true;
    }
  }
  pen.stroke();
  if (series.count === 1 && pendown && series.kind !== "step") {
    drawDot(pen, scale.x(points[series.offset]), scale.y(points[series.offset + 1]), look.colour, 2, true);
  }
  pen.restore();
}

function drawDot(pen, x, y, colour, radius, filled) {
  pen.beginPath();
  pen.setLineDash([]);
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  if (filled) pen.fill();
  else pen.stroke();
}

function drawChart(canvas, chart, points, theme) {
  const { pen, width, height } = fitCanvas(canvas);
  if (width === 0) return;
  const scale = scales(chart, width, height);
  drawAxes(pen, chart, scale, theme, width, height);
  for (const series of chart.series) drawLine(pen, series, points, scale, theme);
  if (chart.best) drawDot(pen, scale.x(chart.best[0]), scale.y(chart.best[1]), theme.ink, 3.5, false);
  setAttribute(canvas, "aria-label", chart.summary);
}

function buildHistogram(parent, item) {
  const box = make("div", "km-histogram", parent, { variable: item.name });
  const name = make("div", "km-histogram-name", box);
  name.title = item.name;
  setText(make("span", "km-histogram-owner", name), item.owner);
  setText(make("span", "", name), item.label);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("preserveAspectRatio", "none");
  const path = svg.appendChild(document.createElementNS(SVG, "path"));
  box.append(svg);
  const range = make("div", "km-histogram-range", box);
  return { name: item.name, svg, path, low: make("span", "", range), high: make("span", "", range) };
}

function histogramPath(counts) {
  const top = counts.reduce((a, b) => Math.max(a, b), 0) || 1;
  let path = "M0 100";
  counts.forEach((value, i) => {
    path += `V${(100 - (98 * value) / top).toFixed(1)}H${i + 1}`;
  });
  return `${path}V100Z`;
}

function showHistograms(dom, old, items, data) {
  const same = old.length === items.length && old.every((one, i) => one.name === items[i].name);
  if (!same) {
    dom.weights.replaceChildren();
    old = items.map((item) => buildHistogram(dom.weights, item));
  }
  items.forEach((item, i) => {
    const counts = data.subarray(item.offset, item.offset + item.count);
    setAttribute(old[i].svg, "viewBox", `0 0 ${item.count || 1} 100`);
    setAttribute(old[i].svg, "aria-label", item.summary);
    setAttribute(old[i].path, "d", histogramPath(counts));
    setText(old[i].low, item.low);
    setText(old[i].high, item.high);
  });
  return old;
}

function watchTheme(redraw) {
  const observer = new MutationObserver(redraw);
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributes: true, attributeFilter: THEME_ATTRIBUTES });
  }
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", redraw);
  return () => {
    observer.disconnect();
    scheme.removeEventListener("change", redraw);
  };
}

function render({ model, el }) {
  let stopping = false;
  const dom = build(el, () => {
    stopping = true;
    model.send({ kind: "stop" });
    schedule("view");
  });
  const dirty = new Set();
  let charts = [];
  let histograms = [];
  let theme = null;
  let frame = 0;

  function drawCurves() {
    theme ??= readTheme(dom);
    const points = floats(model.get("curves"));
    for (const chart of model.get("curve_index")) {
      const place = charts.find((one) => one.name === chart.name);
      if (place) drawChart(place.canvas, chart, points, theme);
    }
  }

  function draw() {
    frame = 0;
    const view = model.get("view");
    if (dirty.has("view") && view.state) {
      stopping &&= view.state === "running" || view.state === "compiling";
      showReadout(dom, view, stopping || model.get("stopping"));
      const before = charts;
      charts = syncCharts(dom, charts, view);
      if (charts !== before) dirty.add("curves");
    }
    if (dirty.has("weights")) {
      histograms = showHistograms(dom, histograms, model.get("weight_index"), floats(model.get("weights")));
    }
    if (dirty.has("curves")) drawCurves();
    dirty.clear();
  }

  function schedule(part) {
    dirty.add(part);
    frame ||= requestAnimationFrame(draw);
  }

  function repaint() {
    theme = null;
    schedule("curves");
  }

  const listeners = { view: "view", stopping: "view", curve_index: "curves", curves: "curves", weight_index: "weights", weights: "weights" };
  for (const [trait, part] of Object.entries(listeners)) model.on(`change:${trait}`, () => schedule(part));
  const unwatch = watchTheme(() => {
    repaint();
    // A theme's style sheet may arrive after the attribute that names it.
    setTimeout(repaint, 300);
  });
  const resize = new ResizeObserver(() => schedule("curves"));
  resize.observe(dom.charts);
  ["view", "weights", "curves"].forEach(schedule);
  return () => {
    cancelAnimationFrame(frame);
    unwatch();
    resize.disconnect();
  };
}

export default { render };
