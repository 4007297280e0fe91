// Curves on canvases. The kernel sends finished ticks and float32 points.

const MARGIN = { left: 46, right: 8, top: 8, bottom: 20 };
const GRID_ALPHA = 0.65;

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
