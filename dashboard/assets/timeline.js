// A day as a ribbon: one bar per stretch, hover or arrow keys to read, click or Enter to choose.
// All words come from Python and are only ever put in as text.

const icon = (name) => {
  const span = document.createElement("span");
  span.className = "icon";
  span.setAttribute("aria-hidden", "true");
  span.textContent = name;
  return span;
};

function build(root) {
  const box = document.createElement("div");
  box.className = "box";
  const ribbon = document.createElement("div");
  ribbon.className = "ribbon";
  ribbon.tabIndex = 0;
  ribbon.setAttribute("role", "listbox");
  const axis = document.createElement("div");
  axis.className = "axis";
  axis.setAttribute("aria-hidden", "true");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  box.append(ribbon, axis, tip);
  root.append(box);
  const ui = { box, ribbon, axis, tip, bars: [], at: -1, drawn: "", data: null };
  new ResizeObserver(() => refresh(ui)).observe(ribbon);
  return ui;
}

function place(element, from, to) {
  element.style.left = `${(from * 100).toFixed(4)}%`;
  element.style.width = `${((to - from) * 100).toFixed(4)}%`;
}

function show(ui, index) {
  ui.ribbon.querySelectorAll(".on").forEach((each) => each.classList.remove("on"));
  const bar = ui.bars[index];
  ui.at = bar ? index : -1;
  ui.tip.hidden = !bar;
  if (!bar) {
    ui.ribbon.removeAttribute("aria-activedescendant");
    return;
  }
  bar.classList.add("on");
  ui.ribbon.setAttribute("aria-activedescendant", bar.id);
  ui.tip.textContent = bar.getAttribute("aria-label");
  const width = ui.box.clientWidth;
  const middle = bar.offsetLeft + bar.offsetWidth / 2;
  const half = ui.tip.offsetWidth / 2;
  ui.tip.style.left = `${Math.max(half, Math.min(width - half, middle))}px`;
}

function draw(ui, data) {
  const held = ui.at >= 0 && ui.bars[ui.at] ? ui.bars[ui.at].dataset.begin : null;
  ui.ribbon.replaceChildren();
  ui.axis.replaceChildren();
  ui.ribbon.setAttribute("aria-label", data.label);
  for (const [from, to] of data.nights) {
    const night = document.createElement("div");
    night.className = "night";
    place(night, from, to);
    ui.ribbon.append(night);
  }
  ui.bars = data.stretches.map((stretch, index) => {
    const kind = data.kinds[stretch.kind];
    const bar = document.createElement("div");
    bar.className = `bar${stretch.said ? " said" : ""}${kind.unsure ? " unsure" : ""}`;
    if (stretch.chosen) bar.classList.add("chosen");
    bar.id = `stretch-${index}`;
    bar.setAttribute("role", "option");
    bar.setAttribute("aria-label", stretch.text);
    bar.setAttribute("aria-selected", stretch.chosen ? "true" : "false");
    bar.dataset.begin = stretch.begin;
    bar.style.setProperty("--colour", kind.colour);
    bar.style.color = kind.ink;
    place(bar, stretch.from, stretch.to);
    if ((stretch.to - stretch.from) * ui.ribbon.clientWidth > 24) bar.append(icon(kind.icon));
    ui.ribbon.append(bar);
    return bar;
  });
  if (data.chosen) {
    const chosen = document.createElement("div");
    chosen.className = "frame";
    place(chosen, data.chosen[0], data.chosen[1]);
    ui.ribbon.append(chosen);
  }
  for (const tick of data.ticks) {
    const mark = document.createElement("span");
    mark.style.left = `${(tick.at * 100).toFixed(4)}%`;
    mark.textContent = tick.text;
    mark.classList.toggle("minor", tick.minor);
    mark.classList.toggle("first", tick.at < 0.03);
    mark.classList.toggle("last", tick.at > 0.97);
    ui.axis.append(mark);
  }
  const again = held === null ? -1 : ui.bars.findIndex((each) => each.dataset.begin === held);
  show(ui, again);
}

function refresh(ui) {
  const now = JSON.stringify(ui.data) + ui.ribbon.clientWidth;
  if (!ui.data || now === ui.drawn) return;
  ui.drawn = now;
  draw(ui, ui.data);
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const ui = (parentElement.pawmeshDay ??= build(parentElement));
  const choose = (index, share) => {
    const stretch = data.stretches[index];
    if (!stretch) return;
    const seconds = stretch.begin + (stretch.end - stretch.begin) * share;
    setTriggerValue("chosen", { begin: stretch.begin, at: Math.round(seconds) });
  };
  ui.ribbon.onpointermove = (event) => show(ui, ui.bars.indexOf(event.target.closest(".bar")));
  ui.ribbon.onpointerleave = () => show(ui, -1);
  ui.ribbon.onblur = () => show(ui, -1);
  ui.ribbon.onclick = (event) => {
    const bar = event.target.closest(".bar");
    if (!bar) return;
    const box = bar.getBoundingClientRect();
    choose(ui.bars.indexOf(bar), (event.clientX - box.left) / Math.max(1, box.width));
  };
  ui.ribbon.onkeydown = (event) => {
    const last = ui.bars.length - 1;
    const from = ui.at < 0 ? last + 1 : ui.at;
    const to = {
      ArrowLeft: Math.max(0, from - 1),
      ArrowRight: Math.min(last, ui.at < 0 ? last : from + 1),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) show(ui, to);
    else if (event.key === "Enter" || event.key === " ") choose(ui.at, 0.5);
    else if (event.key === "Escape") show(ui, -1);
    else return;
    event.preventDefault();
  };
  ui.data = data;
  refresh(ui);
}
