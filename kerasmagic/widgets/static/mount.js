// Shows a widget over the output that its cell keeps. The output itself names no widget, so it can be read where the
// kernel is gone; only a page with that kernel draws over it. An output may be shown twice, and written anew.

// Calls `show(box)`, which returns how to end, for each place of the widget, once that has one; returns how to end all.
function mount(model, show) {
  let stop = () => {};
  const begin = () => {
    stop();
    if (model.get("place")) stop = mountAt(model, model.get("place"), show);
  };
  model.on("change:place", begin);
  begin();
  return () => stop();
}

function mountAt(model, name, show) {
  const mounts = new Map();
  let over = false;

  function open() {
    const box = document.createElement("div");
    const one = { box, focused: null, stop: show(box) };
    box.addEventListener("focusin", (event) => (one.focused = event.target));
    // Whoever moves the box takes the focus along, before this comes to pass.
    box.addEventListener("focusout", () => setTimeout(() => (one.focused = box.contains(document.activeElement) ? document.activeElement : null)));
    return one;
  }

  function place(host, one) {
    const { focused } = one;
    for (const kept of host.children) kept.hidden = true;
    host.append(one.box);
    if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
    mounts.set(host, one);
  }

  function sync() {
    if (over) return;
    const left = [];
    for (const [host, one] of mounts) {
      if (host.isConnected) continue;
      mounts.delete(host);
      left.push(one);
    }
    for (const host of document.getElementsByClassName(name)) {
      if (!mounts.has(host)) place(host, left.pop() ?? open());
    }
    left.forEach(close);
  }

  function close(one) {
    one.stop();
    one.box.remove();
  }

  function stop() {
    if (over) return;
    over = true;
    observer.disconnect();
    for (const [host, one] of mounts) {
      close(one);
      for (const kept of host.children) kept.hidden = false;
    }
    mounts.clear();
  }

  const isElement = (node) => node.nodeType === Node.ELEMENT_NODE;
  const observer = new MutationObserver((records) => {
    if (records.some((record) => [...record.addedNodes, ...record.removedNodes].some(isElement))) sync();
  });
  observer.observe(document.body, { childList: true, subtree: true });
  onKernelGone(model, stop);
  sync();
  model.send({ kind: "placed" });
  return stop;
}
