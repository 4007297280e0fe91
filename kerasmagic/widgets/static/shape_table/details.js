// Rows that open to the histograms of their weights, where a kernel on the page has the model.

const ASK_AGAIN_MS = 1000;
const NO_ANSWER_AFTER_MS = 4000;
const NO_ANSWER = "The kernel is busy: it answers when it is free.";

function openable(line, toggle) {
  const name = line.querySelector(".km-name");
  const text = [...name.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
  const button = make("button", "km-open", text.textContent);
  Object.assign(button, { type: "button", title: "Histograms of its weights" });
  button.setAttribute("aria-expanded", "false");
  // JupyterLab takes Enter for itself.
  button.dataset.lmSuppressShortcuts = "true";
  text.replaceWith(button);
  line.addEventListener("click", (event) => {
    if (event.target.closest("button:not(.km-open), input") || String(document.getSelection())) return;
    toggle();
  });
  return button;
}

function detailRow(line, label) {
  const row = make("tr", "km-detail");
  const cell = make("td", "");
  cell.colSpan = line.cells.length;
  const box = make("div", "km-detail-box");
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `histograms of ${label}`);
  box.tabIndex = 0;
  cell.append(box);
  row.append(cell);
  line.after(row);
  return { row, box };
}

// Offers each row of a table to be opened while some kernel on the page answers for the table.
function offerDetails(root, cells) {
  const opened = new Map();
  let ask = null;
  let buttons = null;

  function close(index) {
    opened.get(index)?.row.remove();
    opened.delete(index);
    buttons[index].setAttribute("aria-expanded", "false");
  }

  function load(index, first = false) {
    const one = opened.get(index);
    if (!one || !ask || !one.row.isConnected) return;
    clearTimeout(one.next);
    const late = setTimeout(() => one.box.childElementCount || (one.box.textContent = NO_ANSWER), NO_ANSWER_AFTER_MS);
    ask({ row: index, first }, ({ text, content, again }) => {
      clearTimeout(late);
      if (opened.get(index) !== one) return;
      if (one.text !== text) one.box.replaceChildren(content);
      one.text = text;
      clearTimeout(one.next);
      if (again) one.next = setTimeout(() => load(index), ASK_AGAIN_MS);
    });
  }

  function toggle(index) {
    if (!ask) return;
    if (opened.has(index)) return close(index);
    opened.set(index, detailRow(cells[index].line, buttons[index].textContent));
    buttons[index].setAttribute("aria-expanded", "true");
    load(index, true);
  }

  function link(how) {
    ask = how;
    buttons ??= cells.map(({ line }, index) => openable(line, () => toggle(index)));
    root.dataset.linked = "";
  }

  // What is open stays to be read.
  function unlink() {
    ask = null;
    delete root.dataset.linked;
  }

  root.kmOffer?.abort();
  root.kmOffer = new AbortController();
  const { signal } = root.kmOffer;
  const hello = () => root.dispatchEvent(new CustomEvent("kerasmagic-table", { bubbles: true, detail: { link } }));
  root.addEventListener("kerasmagic-link", hello, { signal });
  root.addEventListener("kerasmagic-unlink", unlink, { signal });
  root.addEventListener("kerasmagic-stir", () => [...opened.keys()].forEach((index) => load(index)), { signal });
  delete root.dataset.linked;
  hello();
}
