// The places, drawn from what is at home: metres around an origin, no tiles unless asked for.
// The view (centre and scale) lives here, so news move the animals and never the view.

const SVG = "http://www.w3.org/2000/svg";
const FIT_MARGIN = 1.25;
const NEAREST = 0.02; // metres a pixel
const FARTHEST = 20000;
const TILE = 256;
const EQUATOR = 40075016.686;

const make = (name, attributes = {}, parent = null) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
};

function build(root) {
  const box = document.createElement("div");
  box.className = "map";
  const svg = make("svg", { role: "img", tabindex: "0" }, box);
  const layers = {};
  for (const name of ["tiles", "grid", "zones", "tracks", "pets", "names", "rose"]) {
    layers[name] = make("g", { class: name }, svg);
  }
  const tools = document.createElement("div");
  tools.className = "tools";
  const credit = document.createElement("div");
  credit.className = "credit";
  box.append(tools, credit);
  root.append(box);
  const ui = { box, svg, layers, credit, view: null, touched: false, pets: new Map(), pointers: new Map() };
  for (const [text, label, act] of [
    ["add", "Closer", () => zoom(ui, 1 / 1.6)],
    ["remove", "Farther", () => zoom(ui, 1.6)],
    ["center_focus_strong", "Show everyone", () => fit(ui)],
  ]) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = label;
    button.setAttribute("aria-label", label);
    const span = document.createElement("span");
    span.className = "icon";
    span.setAttribute("aria-hidden", "true");
    span.textContent = text;
    button.append(span);
    button.onclick = act;
    tools.append(button);
  }
  listen(ui);
  new ResizeObserver(() => draw(ui)).observe(box);
  return ui;
}

const size = (ui) => [ui.box.clientWidth || 600, ui.box.clientHeight || 360];

function bounds(ui) {
  const points = [];
  for (const zone of ui.data.zones) {
    points.push([zone.x - zone.r, zone.y - zone.r], [zone.x + zone.r, zone.y + zone.r]);
  }
  for (const pet of ui.data.pets) {
    const reach = Math.min(pet.accuracy, 500) + 8;
    points.push([pet.x - reach, pet.y - reach], [pet.x + reach, pet.y + reach]);
  }
  if (!points.length) return [-60, -60, 60, 60];
  const xs = points.map((each) => each[0]);
  const ys = points.map((each) => each[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function fit(ui) {
  const [left, bottom, right, top] = bounds(ui);
  const [width, height] = size(ui);
  const scale = Math.max((right - left) / width, (top - bottom) / height) * FIT_MARGIN;
  ui.view = { x: (left + right) / 2, y: (bottom + top) / 2, scale: clamp(scale) };
  ui.touched = false;
  draw(ui);
}

const clamp = (scale) => Math.min(FARTHEST, Math.max(NEAREST, scale));

function zoom(ui, by, px = null, py = null) {
  const [width, height] = size(ui);
  const dx = (px ?? width / 2) - width / 2;
  const dy = (py ?? height / 2) - height / 2;
  const scale = clamp(ui.view.scale * by);
  ui.view.x += dx * (ui.view.scale - scale);
  ui.view.y -= dy * (ui.view.scale - scale);
  ui.view.scale = scale;
  ui.touched = true;
  draw(ui);
}

function pan(ui, dx, dy) {
  ui.view.x -= dx * ui.view.scale;
  ui.view.y += dy * ui.view.scale;
  ui.touched = true;
  draw(ui);
}

function listen(ui) {
  const { svg, pointers } = ui;
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !ui.svg.matches(":focus")) return; // the page scrolls, unless asked
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoom(ui, Math.exp(event.deltaY * 0.0016), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    ui.box.classList.add("still");
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const here = [event.clientX, event.clientY];
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, here);
    if (!other) {
      pan(ui, here[0] - before[0], here[1] - before[1]);
      return;
    }
    const gap = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
    const box = svg.getBoundingClientRect();
    zoom(ui, gap(before) / gap(here), (here[0] + other[0]) / 2 - box.left, (here[1] + other[1]) / 2 - box.top);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) ui.box.classList.remove("still");
    });
  }
  svg.addEventListener("dblclick", (event) => {
    const box = svg.getBoundingClientRect();
    zoom(ui, 0.5, event.clientX - box.left, event.clientY - box.top);
  });
  svg.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => pan(ui, 40, 0),
      ArrowRight: () => pan(ui, -40, 0),
      ArrowUp: () => pan(ui, 0, 40),
      ArrowDown: () => pan(ui, 0, -40),
      "+": () => zoom(ui, 1 / 1.4),
      "=": () => zoom(ui, 1 / 1.4),
      "-": () => zoom(ui, 1.4),
      0: () => fit(ui),
    }[event.key];
    if (!act) return;
    act();
    event.preventDefault();
  });
}

function round(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= least);
}

const metres = (value) => (value >= 1000 ? `${value / 1000} km` : value >= 1 ? `${value} m` : `${Math.round(value * 100)} cm`);

function draw(ui) {
  if (!ui.data) return;
  if (!ui.view) {
    fit(ui);
    return;
  }
  const [width, height] = size(ui);
  const { view, layers } = ui;
  ui.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const at = (x, y) => [(x - view.x) / view.scale + width / 2, (view.y - y) / view.scale + height / 2];
  const far = (value) => Math.max(-1e5, Math.min(1e5, value)).toFixed(1);

  layers.grid.replaceChildren();
  const step = round(view.scale * 64);
  for (let x = Math.ceil((view.x - (width / 2) * view.scale) / step) * step, n = 0; n < 80; x += step, n += 1) {
    const [px] = at(x, 0);
    if (px > width) break;
    make("path", { d: `M${px.toFixed(1)} 0V${height}` }, layers.grid);
  }
  for (let y = Math.ceil((view.y - (height / 2) * view.scale) / step) * step, n = 0; n < 80; y += step, n += 1) {
    const [, py] = at(0, y);
    if (py < 0) break;
    make("path", { d: `M0 ${py.toFixed(1)}H${width}` }, layers.grid);
  }

  layers.zones.replaceChildren();
  for (const zone of ui.data.zones) {
    const [px, py] = at(zone.x, zone.y);
    const r = zone.r / view.scale;
    make("circle", { cx: far(px), cy: far(py), r: far(r) }, layers.zones);
    const text = make("text", { x: far(px), y: far(py - r + (r < 60 ? -8 : 18)) }, layers.zones);
    text.textContent = zone.name;
  }

  layers.tracks.replaceChildren();
  for (const pet of ui.data.pets) {
    const points = [...pet.track, [pet.x, pet.y]].map(([x, y]) => at(x, y).map(far).join(" "));
    const pieces = Math.min(6, Math.max(1, points.length - 1));
    for (let piece = 0; piece < pieces; piece += 1) {
      const from = Math.floor((piece * (points.length - 1)) / pieces);
      const to = Math.floor(((piece + 1) * (points.length - 1)) / pieces) + 1;
      if (to - from < 2) continue;
      const path = make("path", { d: `M${points.slice(from, to).join("L")}` }, layers.tracks);
      path.style.stroke = pet.own;
      path.style.opacity = (0.12 + (0.6 * (piece + 1)) / pieces).toFixed(2);
    }
  }

  const seen = new Set();
  for (const pet of ui.data.pets) {
    seen.add(pet.id);
    let group = ui.pets.get(pet.id);
    if (!group) {
      group = make("g", { class: "pet" }, layers.pets);
      group.halo = make("circle", { class: "halo" }, group);
      group.dot = make("circle", { class: "dot", r: 15 }, group);
      group.glyph = make("text", { class: "glyph", y: 6 }, group);
      group.plate = make("text", { class: "name pet", y: 35 }, layers.names);
      group.tip = make("title", {}, group);
      ui.pets.set(pet.id, group);
    }
    const [px, py] = at(pet.x, pet.y);
    for (const part of [group, group.plate]) {
      part.style.transform = `translate(${far(px)}px, ${far(py)}px)`;
      part.classList.toggle("stale", pet.stale);
    }
    group.halo.setAttribute("r", far(pet.accuracy / view.scale));
    group.halo.style.fill = pet.own;
    group.halo.style.stroke = pet.own;
    group.dot.style.fill = pet.colour;
    group.dot.style.stroke = pet.own;
    group.glyph.style.fill = pet.ink;
    group.glyph.textContent = pet.icon;
    group.plate.textContent = pet.name;
    group.tip.textContent = pet.text;
    group.setAttribute("data-pet", pet.id);
    group.setAttribute("data-x", pet.x.toFixed(2));
    group.setAttribute("data-y", pet.y.toFixed(2));
  }
  spread(ui, at);
  for (const [id, group] of ui.pets) {
    if (!seen.has(id)) {
      group.plate.remove();
      group.remove();
      ui.pets.delete(id);
    }
  }

  layers.rose.replaceChildren();
  const bar = round(view.scale * 70);
  const length = bar / view.scale;
  make("path", { class: "scale", d: `M16 ${height - 22}v6h${length.toFixed(1)}v-6` }, layers.rose);
  make("text", { x: 22, y: height - 23, class: "scale" }, layers.rose).textContent = metres(bar);
  make("path", { class: "north", d: `M${width - 26} 38l7-19l7 19l-7-5z` }, layers.rose);
  make("text", { x: width - 19, y: 53, class: "north" }, layers.rose).textContent = "N";
  tiles(ui, width, height);
}

// Names that would lie over one another move down, line by line.
function spread(ui, at) {
  const taken = [];
  const order = ui.data.pets.map((pet) => [pet, ...at(pet.x, pet.y)]).sort((a, b) => a[2] - b[2]);
  for (const [pet, px, py] of order) {
    const half = pet.name.length * 4 + 4;
    let y = 35;
    for (let tries = 0; tries < 8; tries += 1) {
      const hit = taken.some((each) => Math.abs(each[0] - px) < each[2] + half && Math.abs(each[1] - py - y) < 15);
      if (!hit) break;
      y += 8;
    }
    taken.push([px, py + y, half]);
    ui.pets.get(pet.id).plate.setAttribute("y", y);
  }
}

function tiles(ui, width, height) {
  const { data, layers, view } = ui;
  ui.credit.textContent = data.tiles ? data.tiles.credit : "";
  layers.tiles.replaceChildren();
  if (!data.tiles) return;
  const lat = (data.origin.lat * Math.PI) / 180;
  const across = EQUATOR * Math.cos(lat); // metres round the world at this latitude
  const level = Math.max(0, Math.min(19, Math.round(Math.log2(across / TILE / view.scale))));
  const count = 2 ** level;
  const step = across / count; // of a tile, in metres
  const x0 = ((data.origin.lon + 180) / 360) * count;
  const y0 = ((1 - Math.asinh(Math.tan(lat)) / Math.PI) / 2) * count;
  const left = Math.floor(x0 + (view.x - (width / 2) * view.scale) / step);
  const right = Math.floor(x0 + (view.x + (width / 2) * view.scale) / step);
  const top = Math.floor(y0 - (view.y + (height / 2) * view.scale) / step);
  const bottom = Math.floor(y0 - (view.y - (height / 2) * view.scale) / step);
  for (let x = left; x <= Math.min(right, left + 20); x += 1) {
    for (let y = Math.max(0, top); y <= Math.min(bottom, top + 20, count - 1); y += 1) {
      const url = data.tiles.url
        .replaceAll("{z}", level)
        .replaceAll("{x}", ((x % count) + count) % count)
        .replaceAll("{y}", y)
        .replaceAll("{s}", "a");
      make("image", {
        href: url,
        x: (((x - x0) * step - view.x) / view.scale + width / 2).toFixed(1),
        y: ((view.y + (y - y0) * step) / view.scale + height / 2).toFixed(1),
        width: (step / view.scale + 0.5).toFixed(1),
        height: (step / view.scale + 0.5).toFixed(1),
      }, layers.tiles);
    }
  }
}

function inSight(ui) {
  const [left, bottom, right, top] = bounds(ui);
  const [width, height] = size(ui);
  const { view } = ui;
  return left > view.x - (width / 2) * view.scale && right < view.x + (width / 2) * view.scale
    && bottom > view.y - (height / 2) * view.scale && top < view.y + (height / 2) * view.scale;
}

export default function (component) {
  const { data, parentElement } = component;
  const ui = (parentElement.pawmeshMap ??= build(parentElement));
  const elsewhere = ui.data && (ui.data.origin.lat !== data.origin.lat || ui.data.origin.lon !== data.origin.lon);
  ui.data = data;
  ui.svg.setAttribute("aria-label", data.label);
  ui.box.style.height = `min(${data.height}px, 62vh)`;
  if (!ui.view || elsewhere || (!ui.touched && !inSight(ui))) fit(ui);
  else draw(ui);
}
