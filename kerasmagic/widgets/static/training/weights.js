// Histograms of the weights.

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
