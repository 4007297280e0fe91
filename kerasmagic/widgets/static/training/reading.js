// What a reader does with the charts: smooth them, scale them, and read values off them by pointer or by key.

// One choice for all charts of the page: it outlives the view in which it was made.
const scaling = (window.kerasmagicCharts ??= { smoothing: 0, log: false, listeners: new Set() });

function buildToolbar(parent, note) {
  const bar = make("div", "km-toolbar", parent);
  const text = make("span", "km-soft km-toolbar-note", bar);
  setText(text, note);
  const smooth = make("label", "", bar);
  smooth.append("smoothing");
  const slider = make("input", "", smooth);
  Object.assign(slider, { type: "range", min: 0, max: 0.98, step: 0.02 });
  const value = make("output", "", smooth);
  const log = make("label", "", bar);
  const box = make("input", "", log);
  box.type = "checkbox";
  log.append("log scale");
  // In JupyterLab the arrow keys belong to the notebook unless an element says otherwise.
  for (const input of [slider, box]) input.dataset.lmSuppressShortcuts = "true";
  slider.addEventListener("input", () => changeScaling({ smoothing: Number(slider.value) }));
  box.addEventListener("change", () => changeScaling({ log: box.checked }));
  const show = () => {
    slider.value = scaling.smoothing;
    box.checked = scaling.log;
    setText(value, scaling.smoothing.toFixed(2));
  };
  show();
  return { bar, note: text, show };
}

function changeScaling(change) {
  Object.assign(scaling, change);
  for (const listener of scaling.listeners) listener();
}

// Calls `listener` when a reader changes the scale; returns what stops that.
function watchScaling(listener) {
  scaling.listeners.add(listener);
  return () => scaling.listeners.delete(listener);
}

function makeReadable(place, box) {
  const { canvas } = place;
  place.reading = null;
  place.spoken = make("span", "km-unseen", box);
  place.spoken.setAttribute("role", "status");
  canvas.tabIndex = 0;
  canvas.dataset.lmSuppressShortcuts = "true";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", place.name);
  canvas.setAttribute("aria-roledescription", "chart; arrow keys read values");
  canvas.addEventListener("pointermove", (event) => {
    const pixel = event.clientX - canvas.getBoundingClientRect().left;
    if (place.chart) read(place, scales(place.chart, canvas.clientWidth, canvas.clientHeight).unplaceX(pixel));
  });
  canvas.addEventListener("pointerleave", () => read(place, null));
  canvas.addEventListener("blur", () => read(place, null));
  canvas.addEventListener("keydown", (event) => {
    const stops = place.chart ? stopsOf(place) : [];
    const next = step(event.key, stops, place.reading);
    if (next === undefined || !stops.length) return;
    event.preventDefault();
    event.stopPropagation();
    read(place, next);
    setText(place.spoken, spokenReading(place));
  });
}

// The places at which the arrow keys stop: the ends of epochs, or the steps where there are none.
function stopsOf(place) {
  const { chart, points } = place;
  const kinds = ["epoch", "validation", "step"];
  const found = kinds.map((kind) => chart.series.find((series) => series.kind === kind && series.count > 0));
  const series = found.find((one) => one && one.count > 1) ?? found.find(Boolean);
  return series ? [...pointsOf(series, points).x] : [];
}

function step(key, stops, reading) {
  const last = stops.length - 1;
  const at = reading === null ? -1 : nearest(stops, reading);
  return {
    ArrowRight: stops[Math.min(at + 1, last)],
    ArrowLeft: stops[at < 0 ? last : Math.max(at - 1, 0)],
    Home: stops[0],
    End: stops[last],
    Escape: null,
  }[key];
}

function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i += 1) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}

function read(place, x) {
  if (place.reading === x) return;
  place.reading = x;
  if (x === null) setText(place.spoken, "");
  place.frame ||= requestAnimationFrame(() => {
    place.frame = 0;
    drawChart(place);
    showLegend(place);
  });
}

// The newest values, or those at the place that is pointed at, in the same spot: nothing moves.
function showLegend(place) {
  const found = place.reading === null || !place.chart ? null : valuesAt(place);
  const where = found ? `${place.row.label} · ${describePlace(place.chart, found.x)}` : place.row.label;
  setText(place.label, where);
  setText(place.train, found ? plainNumber(found.train?.value) : place.row.train);
  if (place.validation) setText(place.validation, found ? plainNumber(found.validation?.value) : place.row.validation);
}

function spokenReading(place) {
  if (place.reading === null) return "";
  const found = valuesAt(place);
  const parts = [describePlace(place.chart, found.x)];
  if (found.train) parts.push(`training ${plainNumber(found.train.value)}`);
  if (found.validation) parts.push(`validation ${plainNumber(found.validation.value)}`);
  return parts.join(", ");
}

function describePlace(chart, x) {
  const value = chart.x.first + x / chart.x.unit;
  const whole = Math.abs(value - Math.round(value)) < 1e-3;
  return `${chart.x.label} ${whole ? Math.round(value).toLocaleString("en") : value.toFixed(2)}`;
}

// The points next to where the reader points; of two kinds of training points the nearer, of equals that of the epoch.
function valuesAt(place) {
  const { chart, points, reading } = place;
  const found = { x: reading };
  for (const series of chart.series) {
    if (series.kind === "earlier" || !series.count) continue;
    const { x, y } = pointsOf(series, points);
    const at = nearest(x, reading);
    const name = series.kind === "validation" ? "validation" : "train";
    const point = { x: x[at], value: y[at], away: Math.abs(x[at] - reading) };
    if (!found[name] || point.away <= found[name].away) found[name] = point;
  }
  const closest = [found.train, found.validation].filter(Boolean).sort((a, b) => a.away - b.away)[0];
  if (closest) found.x = closest.x;
  return found;
}

function drawReading(place, pen, scale, height) {
  if (place.reading === null) return;
  const found = valuesAt(place);
  const x = Math.round(scale.x(found.x)) + 0.5;
  pen.beginPath();
  pen.setLineDash([]);
  pen.strokeStyle = place.theme.soft;
  pen.lineWidth = 1;
  pen.moveTo(x, MARGIN.top);
  pen.lineTo(x, height - MARGIN.bottom);
  pen.stroke();
  const colours = { train: place.theme.accent, validation: place.theme.ink };
  for (const [name, colour] of Object.entries(colours)) {
    const y = found[name] ? scale.y(found[name].value) : NaN;
    if (Number.isFinite(y)) drawDot(pen, scale.x(found[name].x), y, colour, 3, true);
  }
}

// As `units.number` writes it.
function plainNumber(value) {
  if (value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e6)) return value.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2");
  const decimals = size < 1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : 1;
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
