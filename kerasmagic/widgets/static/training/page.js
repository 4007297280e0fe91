// What every part of the training view needs: elements, text, numbers, canvases and the colours of the theme.

const SVG = "http://www.w3.org/2000/svg";
const THEME_ATTRIBUTES = ["data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-kind", "class"];

function make(tag, className, parent, data = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  Object.assign(node.dataset, data);
  parent?.append(node);
  return node;
}

// Writing only what changed keeps screen readers and layout quiet.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// What has parts comes as text.
function parsed(model, trait) {
  return JSON.parse(model.get(trait));
}

function floats(view) {
  if (!view || !view.byteLength) return new Float32Array(0);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

// The computed colour of an element is concrete where a custom property may still be an expression.
function readTheme(root) {
  const probe = make("span", "", root);
  const colour = (name) => {
    probe.className = name;
    return getComputedStyle(probe).color;
  };
  const theme = { soft: colour("km-soft"), accent: colour("km-accent"), line: colour("km-line") };
  probe.remove();
  const style = getComputedStyle(root);
  return { ...theme, ink: style.color, font: `11px ${style.fontFamily}` };
}

function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (w && (canvas.width !== w || canvas.height !== h)) Object.assign(canvas, { width: w, height: h });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

function watchTheme(redraw) {
  const change = () => {
    redraw();
    // A theme's style sheet may arrive after the attribute that names it, and hide the page until then.
    setTimeout(redraw, 300);
  };
  const observer = new MutationObserver(change);
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributes: true, attributeFilter: THEME_ATTRIBUTES });
  }
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", change);
  return () => {
    observer.disconnect();
    scheme.removeEventListener("change", change);
  };
}
