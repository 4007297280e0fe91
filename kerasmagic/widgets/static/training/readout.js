// The head of the training view: what runs, how far it is, and the numbers that matter.

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
