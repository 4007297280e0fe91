// Makes a shape table live: a field for each open dimension, numbers that follow, blocks that fold, a graph that
// points at its rows. The table is on the page already. This text goes into a function in the same output, which
// calls `enliven`.

const FOLDED_FROM = 60;

function make(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

// Adds the column of memory and returns, for each row on the page, the cells that change.
function addMemory(table) {
  const lines = [...table.querySelectorAll("tbody tr[data-layer]")];
  const before = lines[0].querySelector(".km-cost") ?? lines[0].querySelector(".km-parameters");
  const place = before.cellIndex;
  const heading = make("th", "km-right", "activations");
  heading.scope = "col";
  heading.title = "memory of the output";
  table.querySelector("thead tr").cells[place].after(heading);
  for (const cell of table.querySelectorAll("tbody td[colspan]")) cell.colSpan += 1;
  return lines.map((line) => {
    const cell = make("td", "km-right km-memory");
    line.cells[place].after(cell);
    return { line, shape: line.querySelector(".km-shape"), cost: line.querySelector(".km-cost"), memory: cell };
  });
}

function makeField(name, size, onSize) {
  const label = make("label", "", name === "batch" ? "batch size" : name);
  const input = make("input", "");
  Object.assign(input, { type: "number", min: "1", step: "1", value: String(size) });
  if (name !== "batch") input.setAttribute("aria-label", `size of ${name}`);
  input.dataset.dimension = name;
  // JupyterLab would take some keys, such as the arrows, for itself.
  input.dataset.lmSuppressShortcuts = "true";
  input.addEventListener("input", () => {
    const value = Number(input.value);
    const good = Number.isInteger(value) && value >= 1 && value <= 1e9;
    input.setAttribute("aria-invalid", String(!good));
    if (good) onSize(value);
  });
  label.append(input);
  return label;
}

function addTotal(root) {
  const box = make("span", "km-total", "activations ");
  box.dataset.total = "activations";
  const value = make("b", "");
  box.append(value);
  const totals = root.querySelector(".km-totals");
  totals.setAttribute("aria-live", "polite");
  totals.insertBefore(box, totals.querySelector("[data-total=training-step]"));
  return value;
}

// Gives each row with rows inside a button that hides and shows them.
function addFolds(cells) {
  const depths = cells.map(({ line }) => Number(line.dataset.depth ?? 0));
  const closed = new Set();
  const show = () => {
    let hiddenBelow = Infinity;
    cells.forEach(({ line }, index) => {
      if (depths[index] <= hiddenBelow) hiddenBelow = Infinity;
      line.hidden = depths[index] > hiddenBelow;
      if (line.nextElementSibling?.classList.contains("km-detail")) line.nextElementSibling.hidden = line.hidden;
      if (closed.has(index) && !line.hidden) hiddenBelow = depths[index];
    });
  };
  cells.forEach(({ line }, index) => {
    if (!(depths[index + 1] > depths[index])) return;
    const button = make("button", "km-fold");
    const name = line.querySelector(".km-name");
    button.type = "button";
    button.dataset.lmSuppressShortcuts = "true";
    button.setAttribute("aria-label", `layers of ${name.textContent}`);
    const set = (open) => {
      if (open) closed.delete(index);
      else closed.add(index);
      button.setAttribute("aria-expanded", String(open));
    };
    set(cells.length <= FOLDED_FROM);
    button.addEventListener("click", () => {
      set(closed.has(index));
      show();
    });
    name.prepend(button);
    name.classList.add("km-folds");
  });
  show();
  // Opens what hides a row.
  return (index) => {
    for (let at = index, depth = depths[index]; at >= 0 && depth > 0; at -= 1) {
      if (depths[at] >= depth) continue;
      depth = depths[at];
      if (closed.has(at)) cells[at].line.querySelector(".km-fold").click();
    }
  };
}

function setTotal(root, name, text) {
  const place = root.querySelector(`[data-total="${name}"] b`);
  if (place && place.textContent !== text) place.textContent = text;
}

function sampleText(cost, sizes) {
  if (cost === null) return "–";
  const value = sizeOf(cost, { ...sizes, batch: 1 });
  return value === 0 ? "" : magnitude(value);
}

// Writes what depends on the sizes into the totals.
function updateTotals(root, { rows, memory: step }, sizes) {
  const top = Math.min(...rows.map((row) => row.depth));
  const costs = rows.filter((row) => row.depth === top && row.cost !== null).map((row) => row.cost);
  const at = (chosen) => costs.reduce((sum, cost) => sum + sizeOf(cost, chosen), 0);
  const sample = `${magnitude(at({ ...sizes, batch: 1 }))} a sample, ${magnitude(at(sizes))} a batch`;
  setTotal(root, "multiply-adds", Object.hasOwn(sizes, "batch") ? sample : `${magnitude(at(sizes))} a call`);
  if (!step) return;
  const needed = stepMemory(step, sizes);
  const parts = step.parts.map(([label, bytes]) => `${label} ${memory(bytes)}`);
  const kept = needed === null ? null : needed - step.fixed;
  setTotal(root, "training-step", `${memory(needed)} = ${[...parts, `for backward ${memory(kept)}`].join(" + ")}`);
  if (step.limit !== null) setTotal(root, "limit", fits(step, sizes));
}

// `chosen` keeps what was typed into the fields when a table takes the place of another one.
function enlivenOne(root, data, chosen = {}) {
  const { rows } = data;
  const sizes = { ...data.sizes };
  for (const name of Object.keys(sizes)) sizes[name] = chosen[name] ?? sizes[name];
  const table = root.querySelector("table");
  const cells = addMemory(table);
  const total = addTotal(root);
  const update = () => {
    let all = 0;
    rows.forEach((row, index) => {
      const values = elements(row.shape, sizes);
      const bytes = values === null ? null : (values * row.bits) / 8;
      if (row.leaf) all = all === null || bytes === null ? null : all + bytes;
      // A very long table shows only its first rows.
      if (index >= cells.length) return;
      cells[index].shape.textContent = shapeText(row.shape, sizes);
      cells[index].memory.textContent = memory(bytes);
      if (cells[index].cost) cells[index].cost.textContent = sampleText(row.cost, sizes);
    });
    total.textContent = memory(all);
    updateTotals(root, data, sizes);
  };
  const fields = Object.entries(sizes).map(([name, size]) =>
    makeField(name, size, (value) => {
      sizes[name] = chosen[name] = value;
      update();
    }),
  );
  if (fields.length) {
    const box = make("div", "km-fields");
    box.append(...fields);
    table.before(box);
  }
  const reveal = addFolds(cells);
  linkGraph(root, cells, reveal);
  update();
  root.dataset.state = "live";
  offerDetails(root, cells);
}

function enliven(key, data) {
  if (!data.rows.length) return;
  const roots = document.querySelectorAll(`.km-shape-table[data-table="${key}"][data-state="static"]`);
  for (const root of roots) enlivenOne(root, data);
}
