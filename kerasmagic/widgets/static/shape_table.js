// The shape table with fields for open dimensions. Works without the kernel: shapes are evaluated here.

const TOKEN = /\s*(?:(\d+)|([\p{L}_][\p{L}\p{N}_]*)|(\/\/|[-+*%(),^]))/uy;
const FUNCTIONS = {
  floordiv: (a, b) => Math.floor(a / b),
  mod: (a, b) => a - b * Math.floor(a / b),
  max: Math.max,
  min: Math.min,
};

function tokenize(text) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const match = TOKEN.exec(text);
    if (!match) throw new Error(`cannot read ${text}`);
    tokens.push(match[1] ? Number(match[1]) : match[2] ? { name: match[2] } : match[3]);
  }
  return tokens;
}

// A recursive-descent evaluator: names and whole numbers under + - * // % ^ and a few functions, never eval.
function evaluate(text, sizes) {
  const tokens = tokenize(text);
  let at = 0;
  const take = (wanted) => {
    if (tokens[at] !== wanted) throw new Error(`expected ${wanted} in ${text}`);
    at += 1;
  };
  function call(name) {
    take("(");
    const values = [sum()];
    while (tokens[at] === ",") {
      at += 1;
      values.push(sum());
    }
    take(")");
    return FUNCTIONS[name](...values);
  }
  function atom() {
    const token = tokens[at];
    at += 1;
    if (typeof token === "number") return token;
    if (token === "-") return -atom();
    if (token === "(") {
      const value = sum();
      take(")");
      return value;
    }
    if (token?.name && tokens[at] === "(" && Object.hasOwn(FUNCTIONS, token.name)) return call(token.name);
    if (token?.name && Object.hasOwn(sizes, token.name)) return sizes[token.name];
    throw new Error(`cannot evaluate ${text}`);
  }
  function power() {
    const base = atom();
    if (tokens[at] !== "^") return base;
    at += 1;
    return base ** power();
  }
  function product() {
    let value = power();
    while (["*", "//", "%"].includes(tokens[at])) {
      const sign = tokens[at];
      at += 1;
      const right = power();
      value = sign === "*" ? value * right : sign === "%" ? FUNCTIONS.mod(value, right) : FUNCTIONS.floordiv(value, right);
    }
    return value;
  }
  function sum() {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") {
      const sign = tokens[at];
      at += 1;
      value += sign === "+" ? product() : -product();
    }
    return value;
  }
  const value = sum();
  if (at !== tokens.length) throw new Error(`cannot read ${text}`);
  return value;
}

function sizeOf(dimension, sizes) {
  if (typeof dimension === "number") return dimension;
  try {
    return evaluate(String(dimension), sizes);
  } catch {
    return null;
  }
}

function shapeText(shape, sizes) {
  if ("text" in shape) return shape.text;
  if ("named" in shape) {
    return shape.named.map(([name, inner]) => (name ? `${name}: ` : "") + shapeText(inner, sizes)).join("  ");
  }
  const parts = shape.shape.map((dimension) => sizeOf(dimension, sizes) ?? dimension ?? "?");
  return parts.length === 1 ? `(${parts[0]},)` : `(${parts.join(", ")})`;
}

function elements(shape, sizes) {
  if ("text" in shape) return null;
  if ("named" in shape) {
    return shape.named.reduce((total, [, inner]) => {
      const count = elements(inner, sizes);
      return total === null || count === null ? null : total + count;
    }, 0);
  }
  return shape.shape.reduce((total, dimension) => {
    const size = sizeOf(dimension, sizes);
    return total === null || size === null ? null : total * size;
  }, 1);
}

function memory(bytes) {
  if (bytes === null) return "–";
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let power = -1;
  for (; bytes >= 1024 && power < 3; power += 1) bytes /= 1024;
  return `${bytes.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} ${units[power]}`;
}

const count = (value) => value.toLocaleString("en");

function make(tag, className, parent, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  parent?.append(node);
  return node;
}

function columnsOf(table) {
  const has = (key) => table.rows.some((row) => row[key] !== null);
  return [
    ...(has("line") ? [["line", "line", "right"]] : []),
    ["name", "layer", "left"],
    ["kind", "kind", "left"],
    ["shape", "output shape", "left"],
    ["dtype", "type", "left"],
    ["parameters", "parameters", "right"],
    ["memory", "activations", "right"],
    ...(has("status") ? [["status", "weights", "left"]] : []),
  ];
}

function buildRow(body, row, columns) {
  const line = make("tr", "", body);
  line.dataset.layer = row.name;
  if (!row.trainable && row.parameters) line.dataset.frozen = "";
  const cells = {};
  for (const [key, , align] of columns) {
    const isName = key === "name";
    const cell = make(isName ? "th" : "td", `km-${align} km-${key}`, line);
    if (isName) {
      cell.scope = "row";
      cell.style.setProperty("--km-depth", row.depth);
    }
    cells[key] = cell;
    cell.textContent = { parameters: count(row.parameters), shape: "", memory: "" }[key] ?? row[key] ?? "";
    if (key === "status" && row.status) cell.dataset.status = row.status;
  }
  return { row, cells };
}

function buildTable(root, table) {
  const node = make("table", "", root);
  make("caption", "", node, table.title || "Layers");
  const columns = columnsOf(table);
  const head = make("tr", "", make("thead", "", node));
  for (const [, heading, align] of columns) make("th", `km-${align}`, head, heading).scope = "col";
  const body = make("tbody", "", node);
  return table.rows.slice(0, 400).map((row) => buildRow(body, row, columns));
}

function buildField(parent, name, size, onSize) {
  const label = make("label", "", parent, name === "batch" ? "batch size" : name);
  const input = make("input", "", label);
  Object.assign(input, { type: "number", min: "1", step: "1", value: String(size) });
  input.dataset.dimension = name;
  // JupyterLab would take some keys, such as the arrows, for itself.
  input.dataset.lmSuppressShortcuts = "true";
  input.addEventListener("input", () => {
    const value = Number(input.value);
    const good = Number.isInteger(value) && value >= 1 && value <= 1e9;
    input.setAttribute("aria-invalid", String(!good));
    if (good) onSize(value);
  });
  return input;
}

function buildTotal(parent, name) {
  const box = make("span", "km-total", parent, `${name} `);
  box.dataset.total = name;
  return make("b", "", box);
}

function fill(lines, totals, table, sizes) {
  let all = 0;
  for (const { row, cells } of lines) {
    const values = elements(row.shape, sizes);
    const bytes = values === null ? null : (values * row.bits) / 8;
    cells.shape.textContent = shapeText(row.shape, sizes);
    cells.memory.textContent = memory(bytes);
    if (row.leaf) all = all === null || bytes === null ? null : all + bytes;
  }
  totals.trainable.textContent = count(table.trainable);
  totals["non-trainable"].textContent = count(table.non_trainable);
  totals.memory.textContent = memory(table.size);
  totals.activations.textContent = memory(all);
}

function render({ model, el }) {
  const table = model.get("table");
  const root = make("div", "km-shape-table", el);
  root.dataset.state = "live";
  const fields = make("div", "km-fields", root);
  const lines = buildTable(root, table);
  const foot = make("div", "km-totals", root);
  const names = ["trainable", "non-trainable", "memory", "activations"];
  const totals = Object.fromEntries(names.map((name) => [name, buildTotal(foot, name)]));
  const inputs = {};
  for (const [name, size] of Object.entries(model.get("sizes"))) {
    inputs[name] = buildField(fields, name, size, (value) => {
      model.set("sizes", { ...model.get("sizes"), [name]: value });
      model.save_changes();
    });
  }
  const update = () => {
    const sizes = model.get("sizes");
    for (const [name, input] of Object.entries(inputs)) {
      if (document.activeElement !== input && name in sizes) input.value = String(sizes[name]);
    }
    fill(lines, totals, table, sizes);
  };
  model.on("change:sizes", update);
  update();
  return () => model.off("change:sizes", update);
}

export default { render };
