// Makes a shape table live: a field for each open dimension, shapes in numbers, the memory of the outputs.
// The table is on the page already. This text goes into a function in the same output, which calls `enliven`.

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

// A recursive-descent evaluator: names and whole numbers under + - * // % ^ and a few functions, nothing else.
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
    return base ** signed();
  }
  function signed() {
    if (tokens[at] !== "-") return power();
    at += 1;
    return -signed();
  }
  function product() {
    let value = signed();
    while (["*", "//", "%"].includes(tokens[at])) {
      const sign = tokens[at];
      at += 1;
      const right = signed();
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

function make(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

// Adds the column of memory and returns, for each row on the page, the cells that change.
function addMemory(table) {
  const lines = [...table.querySelectorAll("tbody tr[data-layer]")];
  const place = lines[0].querySelector(".km-parameters").cellIndex;
  const heading = make("th", "km-right", "activations");
  heading.scope = "col";
  table.querySelector("thead tr").cells[place].after(heading);
  for (const cell of table.querySelectorAll("tbody td[colspan]")) cell.colSpan += 1;
  return lines.map((line) => {
    const cell = make("td", "km-right km-memory");
    line.cells[place].after(cell);
    return { shape: line.querySelector(".km-shape"), memory: cell };
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
  box.setAttribute("aria-live", "polite");
  const value = make("b", "");
  box.append(value);
  root.querySelector(".km-totals").append(box);
  return value;
}

function enlivenOne(root, { sizes: defaults, rows }) {
  const sizes = { ...defaults };
  const table = root.querySelector("table");
  const cells = addMemory(table);
  const total = addTotal(root);
  const update = () => {
    let all = 0;
    rows.forEach((row, index) => {
      const values = elements(row.shape, sizes);
      const bytes = values === null ? null : (values * row.bits) / 8;
      if (row.leaf) all = all === null || bytes === null ? null : all + bytes;
      // A long table shows only its first rows.
      if (index >= cells.length) return;
      cells[index].shape.textContent = shapeText(row.shape, sizes);
      cells[index].memory.textContent = memory(bytes);
    });
    total.textContent = memory(all);
  };
  const fields = Object.entries(sizes).map(([name, size]) =>
    makeField(name, size, (value) => {
      sizes[name] = value;
      update();
    }),
  );
  if (fields.length) {
    const box = make("div", "km-fields");
    box.append(...fields);
    table.before(box);
  }
  update();
  root.dataset.state = "live";
}

function enliven(key, data) {
  if (!data.rows.length) return;
  const roots = document.querySelectorAll(`.km-shape-table[data-table="${key}"][data-state="static"]`);
  for (const root of roots) enlivenOne(root, data);
}
