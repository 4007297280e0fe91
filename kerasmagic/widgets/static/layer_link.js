// Tells the tables on the page whose models this kernel has, and carries questions and answers. No output shows it.

function initialize({ model }) {
  const waiting = new Map();
  const linked = new Set();
  let count = 0;

  function ask(table, question, answer) {
    count += 1;
    waiting.set(count, answer);
    model.send({ kind: "look", table, ...question, ask: count });
  }

  // A table says that it is there.
  function meet({ target, detail }) {
    const { table } = target.dataset;
    if (!model.get("tables").includes(table)) return;
    linked.add(target);
    detail.link((question, answer) => ask(table, question, answer));
  }

  function take(content) {
    if (content.kind === "stir") return tell("kerasmagic-stir");
    const answer = waiting.get(content.ask);
    waiting.delete(content.ask);
    const page = document.createElement("template");
    // The kernel has escaped every name in it.
    page.innerHTML = content.html;
    answer?.({ text: content.html, content: page.content, again: content.again });
  }

  function tell(what) {
    for (const root of linked) root.dispatchEvent(new CustomEvent(what));
  }

  function announce() {
    for (const root of document.querySelectorAll(".km-shape-table")) root.dispatchEvent(new CustomEvent("kerasmagic-link"));
    for (const root of linked) if (!root.isConnected) linked.delete(root);
  }

  function end() {
    document.removeEventListener("kerasmagic-table", meet);
    tell("kerasmagic-unlink");
    linked.clear();
  }

  document.addEventListener("kerasmagic-table", meet);
  model.on("msg:custom", take);
  model.on("change:tables", announce);
  onKernelGone(model, end);
  announce();
  return end;
}

export default { initialize, render() {} };
