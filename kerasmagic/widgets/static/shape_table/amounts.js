// Sizes and amounts: expressions in the open dimensions, evaluated in the browser.

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

// Three digits and a letter, as the kernel writes large numbers.
function magnitude(value) {
  if (value === null) return "–";
  const letters = ["", "k", "M", "G", "T", "P"];
  let power = 0;
  for (; value >= 999.5 && power < letters.length - 1; power += 1) value /= 1000;
  const digits = power === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${letters[power]}`.trimEnd();
}

// The memory of a training step: what is there anyway, what the backward pass reads, and two large gradients.
function stepMemory(step, sizes) {
  const kept = sizeOf(step.kept, sizes);
  const largest = step.largest.map((amount) => sizeOf(amount, sizes));
  if (kept === null || largest.includes(null)) return null;
  return step.fixed + kept + 2 * Math.max(0, ...largest);
}

function fittingBatch(step, sizes) {
  let batch = 1;
  while (batch <= 2 ** 20 && stepMemory(step, { ...sizes, batch }) <= step.limit) batch *= 2;
  return Math.floor(batch / 2);
}

function fits(step, sizes) {
  const place = memory(step.limit);
  if (!Object.hasOwn(sizes, "batch")) {
    return stepMemory(step, sizes) <= step.limit ? `fits in ${place}` : `does not fit in ${place}`;
  }
  const batch = fittingBatch(step, sizes);
  return batch ? `batch <= ${batch.toLocaleString("en")} fits in ${place}` : `not even one sample fits in ${place}`;
}
