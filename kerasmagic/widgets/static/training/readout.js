// The head of the training view: what runs, how far it is, and the numbers that matter.

function buildHead(root) {
  const head = make("div", "km-head", root);
  const title = make("span", "km-title", head);
  const about = make("span", "km-about", head);
  const status = make("span", "km-status", head);
  status.setAttribute("role", "status");
  return { title, about, status };
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
  for (const name of ["epoch", "batch", "speed", "memory"]) figures[name] = buildFigure(small, name);
  return { figures, small };
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

// What the time went into: a bar of shares with the seconds beside it.
function buildTimes(root) {
  const row = make("div", "km-times", root);
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Time spent");
  const [bar, labels] = [make("div", "km-times-bar", row), make("div", "km-times-labels", row)];
  return { row, bar, labels, note: make("span", "km-times-note", row), parts: [] };
}

function showTimes(times, parts) {
  while (times.parts.length < parts.length) {
    const { name } = parts[times.parts.length];
    const share = make("div", "km-time", times.bar, { time: name });
    const label = make("span", "km-time-label", times.labels, { time: name });
    make("span", "km-time-swatch", label);
    times.parts.push({ share, name: make("span", "", label), value: make("b", "", label) });
  }
  parts.forEach((part, i) => {
    times.parts[i].share.style.flexGrow = part.share.toFixed(4);
    setText(times.parts[i].name, part.label);
    setText(times.parts[i].value, part.value);
  });
}

function showReadout(dom, view) {
  dom.root.dataset.state = view.state;
  dom.root.dataset.status = view.status;
  for (const key of ["title", "about", "status", "message"]) setText(dom[key], view[key]);
  dom.title.title = view.title;
  for (const figure of [...view.main, ...view.figures]) {
    // Some devices tell of their memory, once there is a run.
    dom.figures[figure.name] ??= buildFigure(dom.small, figure.name);
    for (const part of ["label", "value", "note"]) setText(dom.figures[figure.name][part], figure[part]);
    dom.figures[figure.name].value.classList.toggle("km-soft", figure.value === "–");
  }
  showBar(dom.bars.run, view.progress, view.progress_text);
  showBar(dom.bars.epoch, view.epoch_progress, `${Math.round(100 * view.epoch_progress)} % of the epoch`);
  showTimes(dom.times, view.times);
  setText(dom.times.note, view.compiled);
  dom.times.note.title = view.compiled;
  setText(dom.toolbar.note, view.earlier);
}
