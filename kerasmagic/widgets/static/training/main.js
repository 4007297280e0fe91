// Builds the training view from its parts and redraws what changed. The files of this folder are joined into one module.

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
