// Curves on canvases. The kernel sends finished ticks and float32 points; the page smooths, scales and reads them.

const MARGIN = { left: 46, right: 8, top: 8, bottom: 20 };
const GRID_ALPHA = 0.65;
const LOOKS = {
  earlier: { colour: "soft", width: 1, alpha: 0.45, dash: [] },
  step: { colour: "accent", width: 1, alpha: 0.5, dash: [] },
  epoch: { colour: "accent", width: 2, alpha: 1, dash: [] },
  validation: { colour: "ink", width: 1.5, alpha: 1, dash: [5, 3] },
};

function buildSeries(parent, name, label) {
  const box = make("span", "km-series", parent, { series: name });
  make("span", "km-swatch", box);
  box.append(label);
  return make("b", "", box);
}

function buildChart(parent, row, hasValidation) {
  const box = make("figure", "km-chart", parent, { metric: row.name });
  const head = make("figcaption", "km-chart-head", box);
  const name = make("span", "km-chart-name", head);
  const train = buildSeries(head, "train", "training");
  const validation = hasValidation ? buildSeries(head, "validation", "validation") : null;
  const place = { name: row.name, label: name, train, validation, canvas: make("canvas", "km-plot", box) };
  makeReadable(place, box);
  return place;
}

function syncCharts(dom, charts, view) {
  const same = charts.length === view.rows.length && charts.every((chart, i) => chart.name === view.rows[i].name);
  if (!same) {
    dom.charts.replaceChildren();
    charts = view.rows.map((row) => buildChart(dom.charts, row, view.has_validation));
  }
  view.rows.forEach((row, i) => {
    charts[i].row = row;
    showLegend(charts[i]);
  });
  return charts;
}

function scales(chart, width, height) {
  const log = scaling.log && chart.log;
  const axis = log || chart.y;
  const warp = log ? Math.log10 : (value) => value;
  const across = (width - MARGIN.left - MARGIN.right) / (chart.x.high - chart.x.low || 1);
  const down = (height - MARGIN.top - MARGIN.bottom) / (warp(axis.high) - warp(axis.low) || 1);
  return {
    axis,
    x: (value) => MARGIN.left + (value - chart.x.low) * across,
    y: (value) => height - MARGIN.bottom - (warp(value) - warp(axis.low)) * down,
    unplaceX: (pixel) => chart.x.low + (pixel - MARGIN.left) / across,
  };
}

function drawAxes(pen, chart, scale, theme, width, height) {
  pen.strokeStyle = theme.line;
  pen.fillStyle = theme.soft;
  pen.font = theme.font;
  pen.lineWidth = 1;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const levels = scale.axis.ticks.length ? scale.axis.ticks : [[scale.axis.low, ""]];
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

// The mean of the values so far in which each older one counts less, as in `curve.smoothed`.
function smoothed(values, weight) {
  let total = 0;
  let mass = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    total = total * weight + value;
    mass = mass * weight + 1;
    return total / mass;
  });
}

function pointsOf(series, points) {
  const end = series.offset + series.count;
  return { x: points.subarray(series.offset, end), y: points.subarray(end, end + series.count) };
}

function strokeLine(pen, xs, ys, scale) {
  pen.beginPath();
  let pendown = false;
  for (let i = 0; i < xs.length; i += 1) {
    const y = scale.y(ys[i]);
    if (!Number.isFinite(y)) pendown = false;
    else if (pendown) pen.lineTo(scale.x(xs[i]), y);
    else {
      pen.moveTo(scale.x(xs[i]), y);
      pendown = true;
    }
  }
  pen.stroke();
}

function drawLine(pen, series, points, scale, theme) {
  const look = LOOKS[series.kind];
  const { x, y } = pointsOf(series, points);
  pen.save();
  Object.assign(pen, { strokeStyle: theme[look.colour], lineWidth: look.width, globalAlpha: look.alpha, lineJoin: "round" });
  pen.setLineDash(look.dash);
  if (scaling.smoothing > 0) {
    if (series.kind !== "earlier") {
      Object.assign(pen, { lineWidth: 1, globalAlpha: 0.3 * look.alpha });
      strokeLine(pen, x, y, scale);
    }
    Object.assign(pen, { lineWidth: look.width, globalAlpha: look.alpha });
    strokeLine(pen, x, smoothed(y, scaling.smoothing), scale);
  } else strokeLine(pen, x, y, scale);
  if (series.count === 1 && Number.isFinite(scale.y(y[0])) && series.kind !== "step") {
    drawDot(pen, scale.x(x[0]), scale.y(y[0]), theme[look.colour], 2, true);
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

// `place` keeps what it shows, so that it can draw itself again when a reader points at it.
function showChart(place, chart, points, theme) {
  Object.assign(place, { chart, points, theme });
  setAttribute(place.canvas, "aria-label", chart.summary);
  drawChart(place);
}

function drawChart(place) {
  const { canvas, chart, points, theme } = place;
  if (!chart) return;
  const { pen, width, height } = fitCanvas(canvas);
  if (width === 0) return;
  const scale = scales(chart, width, height);
  drawAxes(pen, chart, scale, theme, width, height);
  for (const series of chart.series) drawLine(pen, series, points, scale, theme);
  if (chart.best) drawDot(pen, scale.x(chart.best[0]), scale.y(chart.best[1]), theme.ink, 3.5, false);
  drawReading(place, pen, scale, height);
}
