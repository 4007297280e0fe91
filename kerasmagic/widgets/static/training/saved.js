// Makes the saved picture of a run answer a reader: the same charts as in the live view, from numbers in the page.

function enliven(key, index, data) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const points = new Float32Array(bytes.buffer);
  for (const root of document.querySelectorAll(`[data-charts="${key}"]:not([data-live])`)) {
    root.dataset.live = "";
    enlivenOne(root, index, points);
  }
}

function enlivenOne(root, index, points) {
  const figures = [...root.querySelectorAll("[data-metric]")];
  const pairs = index.map((chart) => [chart, figures.find((figure) => figure.dataset.metric === chart.name)]);
  const places = pairs.filter(([, figure]) => figure).map(([chart, figure]) => takePlace(chart, figure));
  const charts = root.querySelector(".km-charts");
  const note = root.querySelector(".km-toolbar-note");
  const toolbar = buildToolbar(root, note?.textContent ?? "");
  charts.before(toolbar.bar);
  note?.parentElement.remove();
  let theme = null;
  const draw = () => {
    theme ??= readTheme(root);
    for (const [chart, place] of places) showChart(place, chart, points, theme);
  };
  const stops = [];
  // A page gives no sign when an output is taken away: whatever comes next finds out.
  const whileShown = (action) => () => (root.isConnected ? action() : stops.forEach((stop) => stop()));
  const repaint = whileShown(() => {
    theme = null;
    draw();
  });
  stops.push(watchTheme(repaint));
  stops.push(watchScaling(whileShown(() => (toolbar.show(), draw()))));
  const resize = new ResizeObserver(whileShown(draw));
  resize.observe(charts);
  stops.push(() => resize.disconnect());
  draw();
}

function takePlace(chart, figure) {
  const label = figure.querySelector(".km-chart-name");
  const [train, validation] = ["train", "validation"].map((name) => figure.querySelector(`[data-series="${name}"] b`));
  const row = { label: label.textContent, train: train?.textContent, validation: validation?.textContent };
  const canvas = make("canvas", "km-plot");
  // Paper has finer lines than a canvas.
  const picture = figure.querySelector("img");
  picture.classList.add("km-on-paper");
  picture.after(canvas);
  const place = { name: chart.name, label, train, validation, canvas, row };
  makeReadable(place, figure);
  return [chart, place];
}
