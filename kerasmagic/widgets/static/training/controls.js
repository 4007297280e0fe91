// The row of controls: buttons, and the learning rate as a slider on a logarithmic scale beside a field.

const CONTROL_LABELS = {
  pause: ["Pause", "Pausing", "Wait after the step that is running"],
  resume: ["Resume", "Resuming", "Go on"],
  stop: ["Stop", "Stopping", "End the run after the step that is running, and keep what was learned"],
  checkpoint: ["Checkpoint", "Writing", "Write model and optimizer to a file"],
  rewind: ["Rewind", "Rewinding", "Go back to the best weights: there is no epoch to go back to yet"],
};
const NO_ANSWER_MS = 4000;
const NO_ANSWER =
  "This front end delivers nothing while the cell runs: interrupt the kernel to stop, or use fit(..., background=True).";
// A key that is held down moves the slider many times: the run hears of the last place only.
const SETTLE_MS = 250;
const ANSWER_MS = 1500;
const DECADES = { below: 4, above: 3 };

function buildControls(parent, send) {
  const root = make("div", "km-controls", parent);
  root.setAttribute("role", "toolbar");
  root.setAttribute("aria-label", "Controls of the run");
  const buttons = {};
  for (const name of ["pause", "stop", "checkpoint", "rewind"]) {
    const button = (buttons[name] = make("button", "km-control", root, { control: name }));
    button.type = "button";
    // JupyterLab takes keys for itself unless the element that has the focus says otherwise.
    button.dataset.lmSuppressShortcuts = "true";
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") send(button.dataset.control);
    });
  }
  const rate = buildRate(root, (value) => send("learning_rate", value));
  const note = make("div", "km-control-note", parent);
  note.setAttribute("role", "status");
  return { root, buttons, rate, note };
}

function buildRate(parent, send) {
  const box = make("div", "km-rate", parent);
  const label = make("label", "km-label", box);
  setText(label, "learning rate");
  const slider = make("input", "", box, { rate: "slider" });
  Object.assign(slider, { type: "range", step: "0.05", min: "-6", max: "0" });
  slider.setAttribute("aria-label", "learning rate, logarithmic");
  const field = make("input", "", box, { rate: "field" });
  Object.assign(field, { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false });
  field.setAttribute("aria-label", "learning rate");
  for (const input of [slider, field]) input.dataset.lmSuppressShortcuts = "true";
  const rate = { box, slider, field, note: make("span", "km-soft", box), held: false, edited: false, low: null, wanted: null };
  const want = (value) => {
    rate.wanted = { text: rateText(value), time: performance.now() };
    send(value);
  };
  let timer = 0;
  slider.addEventListener("input", () => {
    clearTimeout(timer);
    rate.held = true;
    const value = sliderRate(slider);
    field.value = rateText(value);
    slider.setAttribute("aria-valuetext", field.value);
  });
  slider.addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      rate.held = false;
      want(sliderRate(slider));
    }, SETTLE_MS);
  });
  field.addEventListener("input", () => {
    rate.edited = true;
    field.setAttribute("aria-invalid", String(fieldRate(field) === null));
  });
  const enter = () => {
    const value = fieldRate(field);
    if (!rate.edited || value === null) return;
    rate.edited = false;
    want(value);
  };
  field.addEventListener("change", enter);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") enter();
    if (event.key === "Escape") {
      rate.edited = false;
      field.blur();
      showRateValue(rate, rate.shown);
    }
  });
  return rate;
}

function sliderRate(slider) {
  return Number((10 ** Number(slider.value)).toPrecision(3));
}

function fieldRate(field) {
  const value = Number(field.value.trim().replace(",", "."));
  return field.value.trim() && Number.isFinite(value) && value >= 0 ? value : null;
}

function rateText(value) {
  const text = Number(value.toPrecision(3));
  return text !== 0 && text < 1e-4 ? text.toExponential() : String(text);
}

function showRateValue(rate, value) {
  if (value === null || value === undefined) return;
  if (!rate.held && value > 0) {
    const power = Math.log10(value);
    // The scale stays where it is as long as the rate is on it.
    if (rate.low === null || power < rate.low || power > Number(rate.slider.max)) {
      rate.low = Math.floor(power) - DECADES.below;
      Object.assign(rate.slider, { min: String(rate.low), max: String(Math.ceil(power) + DECADES.above) });
    }
    rate.slider.value = String(power);
    setAttribute(rate.slider, "aria-valuetext", rateText(value));
  }
  if (!rate.held && !rate.edited) {
    if (rate.field.value !== rateText(value)) rate.field.value = rateText(value);
    setAttribute(rate.field, "aria-invalid", "false");
  }
}

function showRate(rate, panel, waiting) {
  const can = panel.live && panel.rate !== null;
  rate.slider.disabled = rate.field.disabled = !can;
  setText(rate.note, panel.rate_note);
  rate.box.title = panel.rate_hint;
  rate.field.hidden = rate.slider.hidden = panel.rate === null && panel.rate_note !== "";
  // What was asked for stays in sight until the run has taken it.
  const { wanted } = rate;
  if (wanted && panel.rate !== null && rateText(panel.rate) === wanted.text) rate.wanted = null;
  waiting ||= rate.wanted !== null && performance.now() - rate.wanted.time < ANSWER_MS;
  if (!waiting && rate.shown !== panel.rate) {
    rate.shown = panel.rate;
    rate.edited = false;
  }
  if (!waiting) showRateValue(rate, panel.rate);
}

function showButton(button, kind, { can, busy, title }) {
  const [label, doing, text] = CONTROL_LABELS[kind];
  button.dataset.control = kind;
  setText(button, busy ? doing : label);
  // Not `disabled`: that would throw the keyboard's focus away.
  setAttribute(button, "aria-disabled", String(!can || busy));
  setAttribute(button, "title", title || text);
}

// `sent` holds when each kind was asked for here, as long as the kernel has not answered.
function showControls(controls, panel, sent) {
  const { buttons, note, rate, root } = controls;
  const busy = (kind) => panel.asked.includes(kind) || sent.has(kind);
  root.hidden = note.hidden = !panel.live;
  const toggle = panel.paused ? "resume" : "pause";
  const ends = busy("stop");
  showButton(buttons.pause, toggle, { can: panel.live && !ends, busy: busy(toggle) });
  showButton(buttons.stop, "stop", { can: panel.live, busy: ends });
  showButton(buttons.checkpoint, "checkpoint", { can: panel.live, busy: busy("checkpoint") });
  showButton(buttons.rewind, "rewind", { can: panel.live && panel.rewind !== "", busy: busy("rewind"), title: panel.rewind });
  showRate(rate, panel, busy("learning_rate"));
  const unanswered = [...sent.values()].some((time) => performance.now() - time >= NO_ANSWER_MS);
  setText(note, unanswered ? NO_ANSWER : panel.note);
  note.title = note.textContent;
  note.dataset.failed = String(unanswered || panel.failed);
}

// Connects the row to the kernel; returns a function that shows the newest state.
function connectControls(parent, model, schedule) {
  const sent = new Map();
  let answered = null;
  const controls = buildControls(parent, (kind, value) => {
    sent.set(kind, performance.now());
    model.send(value === undefined ? { kind } : { kind, value });
    schedule();
    setTimeout(schedule, NO_ANSWER_MS + 50);
  });
  return () => {
    const panel = parsed(model, "panel");
    if (panel.live === undefined) return;
    // Any news of the controls says that messages arrive.
    const news = `${panel.count} ${panel.asked} ${panel.paused}`;
    if (answered !== news) sent.clear();
    answered = news;
    showControls(controls, panel, sent);
  };
}
