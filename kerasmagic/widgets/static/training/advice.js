// Warnings in plain words, each with what to do.

function buildAdvice(root) {
  const list = make("ul", "km-advice", root);
  list.setAttribute("role", "status");
  list.setAttribute("aria-label", "Warnings");
  return list;
}

function showAdvice(list, advice) {
  // A run's warnings only ever become more; another run begins with none.
  if (list.childElementCount > advice.length) list.replaceChildren();
  for (const one of advice.slice(list.childElementCount)) {
    const item = make("li", "", list, { cause: one.cause });
    setText(make("span", "km-advice-text", item), one.text);
    item.append(" ");
    setText(make("span", "km-soft", item), one.remedy);
  }
}
