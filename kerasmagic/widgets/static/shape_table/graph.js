// Lets a box of the graph and its rows light up together; a click on a box, or Enter, brings its row into view.

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

function linkGraph(root, cells, reveal) {
  const drawing = root.querySelector(".km-graph svg");
  if (!drawing) return;
  drawing.dataset.linked = "";
  const boxes = [...drawing.querySelectorAll(".km-box")];
  for (const box of boxes) {
    const lines = box.dataset.rows.split(" ").map(Number).filter((index) => index < cells.length);
    const rows = lines.map((index) => cells[index].line);
    const light = (parts, on) => parts.forEach((part) => part.toggleAttribute("data-lit", on));
    // A box may stand for a thousand rows: who points at one of them means that one.
    for (const row of rows) {
      row.addEventListener("mouseenter", () => light([box, row], true));
      row.addEventListener("mouseleave", () => light([box, row], false));
    }
    for (const event of ["mouseenter", "focus"]) box.addEventListener(event, () => light([box, ...rows], true));
    for (const event of ["mouseleave", "blur"]) box.addEventListener(event, () => light([box, ...rows], false));
    box.addEventListener("click", () => {
      reveal(lines[0]);
      cells[lines[0]].line.scrollIntoView({ block: "nearest" });
    });
  }
  makeWalkable(drawing, boxes);
}

// One stop for the Tab key; from box to box by the arrows.
function makeWalkable(drawing, boxes) {
  // A picture has no parts for a screen reader: now it has.
  drawing.setAttribute("role", "group");
  const labels = boxes.map((box) => box.querySelector("title").textContent);
  boxes.forEach((box, at) => {
    const before = box.dataset.inputs ? box.dataset.inputs.split(" ").map((place) => labels[place]) : [];
    box.setAttribute("role", "button");
    box.setAttribute("aria-label", labels[at] + (before.length ? `, from ${before.join(" and ")}` : ""));
    box.setAttribute("tabindex", at ? "-1" : "0");
    // JupyterLab takes arrows and Enter for itself.
    box.dataset.lmSuppressShortcuts = "true";
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") box.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      else if (event.key in STEPS) step(at, STEPS[event.key]);
      else return;
      event.preventDefault();
    });
  });

  function step(from, by) {
    const to = Math.min(Math.max(from + by, 0), boxes.length - 1);
    boxes[from].setAttribute("tabindex", "-1");
    boxes[to].setAttribute("tabindex", "0");
    boxes[to].focus();
  }
}
