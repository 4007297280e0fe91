// The live editor: a text area with line numbers and marks under mistakes, and the table of what is written.
// The kernel is asked a moment after the typing stops, and again only when it has answered.

const PAUSE = 150;
const PATIENCE = 10000;

function field(tag, className, parent) {
  const node = make(tag, className);
  parent.append(node);
  return node;
}

function buildEditor(el, model) {
  const root = field("div", "km-editor", el);
  // JupyterLab would take keys such as Ctrl-Enter for the cell.
  root.dataset.lmSuppressShortcuts = "true";
  const head = field("div", "km-editor-head", root);
  field("span", "km-editor-title", head).textContent = `%%model ${model.get("title")}`;
  const button = field("button", "km-editor-build", head);
  Object.assign(button, { type: "button", textContent: "Build", title: "Ctrl-Enter" });
  const note = field("span", "km-soft", head);
  note.setAttribute("role", "status");
  const body = field("div", "km-editor-body", root);
  const numbers = field("pre", "km-editor-numbers", body);
  const page = field("div", "km-editor-page", body);
  const marks = field("pre", "km-editor-marks", page);
  for (const hidden of [numbers, marks]) hidden.setAttribute("aria-hidden", "true");
  const input = field("textarea", "km-editor-text", page);
  Object.assign(input, { spellcheck: false, wrap: "off", autocapitalize: "off", autocomplete: "off" });
  input.setAttribute("aria-label", `definition of ${model.get("title")}`);
  input.placeholder = "input 28x28x1\nconv 16 3 relu\nflatten\ndense 10 softmax";
  const mistakes = field("ul", "km-editor-mistakes", root);
  mistakes.setAttribute("aria-live", "polite");
  mistakes.id = `km-mistakes-${crypto.randomUUID()}`;
  input.setAttribute("aria-describedby", mistakes.id);
  const table = field("div", "km-shape-table", root);
  return { root, button, note, numbers, marks, input, mistakes, table };
}

function showNumbers(dom) {
  const count = dom.input.value.split("\n").length;
  dom.input.rows = Math.min(Math.max(count + 1, 6), 30);
  const text = Array.from({ length: count }, (_, index) => index + 1).join("\n");
  if (dom.numbers.textContent !== text) dom.numbers.textContent = text;
}

// Lays the text once more behind itself, invisible but for the marks.
function showMarks(dom, mistakes) {
  const parts = [];
  dom.input.value.split("\n").forEach((line, index) => {
    if (index) parts.push("\n");
    let at = 0;
    for (const { start, stop } of mistakes.filter((one) => one.line === index + 1)) {
      if (start < at) continue;
      parts.push(line.slice(at, start));
      parts.push(make("mark", "", line.slice(start, stop) || " "));
      at = stop;
    }
    parts.push(line.slice(at));
  });
  dom.marks.replaceChildren(...parts, "\n");
  dom.input.setAttribute("aria-invalid", String(mistakes.length > 0));
}

function showMistakes(dom, mistakes) {
  const items = mistakes.map(({ line, start, message }) => {
    const item = make("li", "");
    if (line === null) {
      item.textContent = message;
      return item;
    }
    const button = make("button", "km-editor-place", `line ${line}`);
    button.type = "button";
    button.addEventListener("click", () => {
      const before = dom.input.value.split("\n").slice(0, line - 1);
      const at = before.reduce((sum, text) => sum + text.length + 1, 0) + start;
      dom.input.focus();
      dom.input.setSelectionRange(at, at);
    });
    item.append(button, ` ${message}`);
    return item;
  });
  dom.mistakes.replaceChildren(...items);
}

function showTable(dom, reply, chosen) {
  // A text that cannot be read yet keeps the last table, paler.
  dom.table.toggleAttribute("data-stale", !reply.page && reply.mistakes.length > 0);
  if (!reply.page) return;
  const opened = dom.table.querySelector(".km-graph[open]") !== null;
  const before = dom.table.querySelector(".km-graph") !== null;
  const height = dom.table.offsetHeight;
  // Nothing jumps between the old table and the new one.
  dom.table.style.minHeight = `${height}px`;
  const page = document.createElement("template");
  page.innerHTML = reply.page;
  dom.table.replaceChildren(page.content);
  const graph = dom.table.querySelector("details.km-graph");
  if (graph && before) graph.open = opened;
  const data = JSON.parse(reply.data);
  dom.table.dataset.table = reply.table;
  if (data.rows.length) enlivenOne(dom.table, data, chosen);
  dom.table.style.minHeight = "";
}

function show(model, el) {
  const dom = buildEditor(el, model);
  const chosen = {};
  let revision = model.get("reply").revision ?? 0;
  let shown = -1;
  let waitingFor = 0;
  let asked = "";
  let timer = 0;
  let patience = 0;

  function send(kind) {
    clearTimeout(timer);
    clearTimeout(patience);
    revision += 1;
    waitingFor = revision;
    asked = dom.input.value;
    if (model.get("text") !== asked) {
      model.set("text", asked);
      model.save_changes();
    }
    dom.root.dataset.state = kind === "build" ? "building" : "reading";
    model.send({ kind, revision, text: asked });
    // A kernel that is gone never answers; one that is busy does later.
    patience = setTimeout(() => {
      waitingFor = 0;
      dom.note.textContent = "the kernel does not answer; it may be busy";
      dom.root.dataset.state = "waiting";
    }, PATIENCE);
  }

  function read() {
    if (waitingFor || dom.input.value === asked) return;
    send("read");
  }

  function showReply() {
    const reply = model.get("reply");
    if (!("revision" in reply) || reply.revision < shown) return;
    shown = reply.revision;
    revision = Math.max(revision, shown);
    if (shown >= waitingFor) {
      waitingFor = 0;
      clearTimeout(patience);
      dom.root.dataset.state = reply.mistakes.length ? "mistakes" : reply.built ? "built" : "fine";
    }
    dom.note.textContent = reply.note;
    showMistakes(dom, reply.mistakes);
    // Marks of an older text would stand in the wrong places.
    showMarks(dom, dom.input.value === asked || shown === 0 ? reply.mistakes : []);
    showTable(dom, reply, chosen);
    read();
  }

  function typed() {
    showNumbers(dom);
    showMarks(dom, []);
    clearTimeout(timer);
    timer = setTimeout(read, PAUSE);
  }

  function takeText() {
    if (dom.input.value === model.get("text") || document.activeElement === dom.input) return;
    dom.input.value = model.get("text");
    typed();
  }

  dom.input.value = asked = model.get("text");
  showNumbers(dom);
  dom.input.addEventListener("input", typed);
  dom.input.addEventListener("scroll", () => {
    dom.marks.scrollTop = dom.numbers.scrollTop = dom.input.scrollTop;
    dom.marks.scrollLeft = dom.input.scrollLeft;
  });
  dom.root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send("build");
    }
    // No key of the editor is one of the notebook's.
    event.stopPropagation();
  });
  dom.button.addEventListener("click", () => send("build"));
  model.on("change:reply", showReply);
  model.on("change:text", takeText);
  showReply();
  return () => {
    clearTimeout(timer);
    clearTimeout(patience);
    model.off("change:reply", showReply);
    model.off("change:text", takeText);
  };
}

export default {
  initialize: ({ model }) => mount(model, (box) => show(model, box)),
  render: ({ model, el }) => {
    model.send({ kind: "shown" });
    return show(model, el);
  },
};
