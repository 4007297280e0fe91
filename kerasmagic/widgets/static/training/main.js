// Builds the training view from its parts and redraws what changed. The files of this folder are joined into one module.

function build(el, send) {
  const root = make("div", "km-training", el, { state: "empty" });
  const head = buildHead(root);
  const { figures, small } = buildFigures(root);
  const bars = { run: buildBar(root, "run", "Training progress"), epoch: buildBar(root, "epoch", "Progress of this epoch") };
  const controls = make("div", "km-control-box", root);
  const message = make("div", "km-message", root);
  message.setAttribute("role", "alert");
  const advice = buildAdvice(root);
  const times = buildTimes(root);
  const toolbar = buildToolbar(root, "");
  const charts = make("div", "km-charts", root);
  const weights = buildWeights(root, send);
  return { root, ...head, figures, small, bars, controls, message, advice, times, toolbar, charts, weights };
}

function show(model, el) {
  const dom = build(el, (message) => model.send(message));
  const showPanel = connectControls(dom.controls, model, () => schedule("panel"));
  const dirty = new Set();
  let charts = [];
  let theme = null;
  let frame = 0;

  function drawCurves() {
    theme ??= readTheme(dom.root);
    const points = floats(model.get("curves"));
    for (const chart of parsed(model, "curve_index")) {
      const place = charts.find((one) => one.name === chart.name);
      if (place) showChart(place, chart, points, theme);
    }
  }

  function draw() {
    frame = 0;
    const view = parsed(model, "view");
    if (dirty.has("view") && view.state) {
      showReadout(dom, view);
      const before = charts;
      charts = syncCharts(dom, charts, view);
      if (charts !== before) dirty.add("curves");
    }
    if (dirty.has("panel")) showPanel();
    if (dirty.has("weights")) {
      theme ??= readTheme(dom.root);
      showWeights(dom.weights, parsed(model, "weight_view"), parsed(model, "weight_index"), model.get("weights"), theme);
    }
    if (dirty.has("advice")) showAdvice(dom.advice, parsed(model, "advice"));
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
    schedule("weights");
  }

  const listeners = { view: "view", panel: "panel", curve_index: "curves", curves: "curves", weight_view: "weights", weight_index: "weights", weights: "weights", advice: "advice" };
  const heard = Object.entries(listeners).map(([trait, part]) => [`change:${trait}`, () => schedule(part)]);
  for (const [change, listen] of heard) model.on(change, listen);
  const unwatch = watchTheme(repaint);
  const unscale = watchScaling(() => {
    dom.toolbar.show();
    schedule("curves");
  });
  const resize = new ResizeObserver(() => schedule("curves"));
  resize.observe(dom.charts);
  ["view", "panel", "advice", "weights", "curves"].forEach(schedule);
  return () => {
    cancelAnimationFrame(frame);
    for (const [change, listen] of heard) model.off(change, listen);
    unwatch();
    unscale();
    resize.disconnect();
  };
}

function initialize({ model }) {
  return mount(model, (box) => show(model, box));
}

function render({ model, el }) {
  model.send({ kind: "shown" });
  return show(model, el);
}

export default { initialize, render };
