// The page: what is chosen, and what follows from it.
const $ = (name) => document.getElementById(name);
const state = { image: 0, layer: "", side: "after", place: [0, 0], held: false, off: new Set() };
let panels = [];
let speaking = 0;

const imageNow = () => DATA.images[state.image];
const markerOf = (number) => DATA.markers[number % DATA.markers.length];
const near = (value) => (Math.abs(value) < 9.95 ? value.toFixed(1) : value.toFixed(0));

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function glyph(number) {
  const [color, marker] = markerOf(number);
  const shape = {
    s: '<rect x="4" y="4" width="12" height="12"/>', D: '<path d="M10 2l8 8-8 8-8-8z"/>',
    "^": '<path d="M10 3l8 14H2z"/>', v: '<path d="M10 17L2 3h16z"/>',
  }[marker] ?? '<circle cx="10" cy="10" r="7"/>';
  const holder = make("span");
  holder.innerHTML = `<svg viewBox="0 0 20 20" aria-hidden="true" fill="${color}" stroke="#000" stroke-width="1.5">${shape}</svg>`;
  return holder.firstChild;
}

// Every picture that any of the networks has: what to call it and how to find it.
function layersOf(image) {
  const found = new Map([["image", "Image alone"]]);
  const add = (key, text) => found.set(key, text);
  for (const { cams, gates } of image.networks) {
    cams.forEach((cam) => add(`cam ${cam.name}`, `Grad-CAM: ${cam.name}`));
    gates.forEach((gate) => gate.passed && add(`passed ${gate.site}`, `Passed on, |f(x)| / |x|: ${gate.site}`));
    gates.forEach((gate) => gate.mean && add(`gate ${gate.site}`, `Gate, mean over channels: ${gate.site}`));
    gates.forEach((gate) => gate.receptive && add(`field ${gate.site}`, `Receptive field: ${gate.site}`));
  }
  return found;
}

// What a network shows for the chosen picture: bytes, colors and a line of text.
function shownBy(network, image) {
  const split = state.layer.indexOf(" ");
  const [kind, name] = [state.layer.slice(0, split), state.layer.slice(split + 1)];
  if (state.layer === "image") return { text: "" };
  if (kind === "cam") {
    const cams = network.cams.filter((one) => one.name === name);
    const cam = cams.find((one) => one.side === state.side) ?? cams.find((one) => !one.side);
    if (!cam) return { text: `${network.label} has no Grad-CAM there` };
    const side = cam.side ? `, ${cam.side} the gate` : ", no gate here";
    const flat = cam.constant ? "; the same everywhere, it points nowhere" : "";
    return { map: cam, stops: GLOW, fades: true, low: "0", high: "1",
      text: `for ${network.explained}${side}${flat}` };
  }
  const gate = network.gates.find((one) => one.site === name);
  if (kind === "gate" || kind === "passed") {
    const map = kind === "gate" ? gate?.mean : gate?.passed;
    if (!map) return { text: `${network.label} has no such map there` };
    return { map, stops: GREEN, low: map.low.toFixed(2), high: map.high.toFixed(2), text: "" };
  }
  if (!gate?.receptive) return { text: `${network.label} has no receptive field there` };
  const index = nearest(network.places, state.place);
  const place = network.places[index];
  return { map: gate.receptive, index, place, stops: GLOW, fades: true, low: "0", high: "most",
    text: `root, at the ring, the nearest measured place: row ${near(place[0])}, column ${near(place[1])}` };
}

function nearest(places, [y, x]) {
  const far = places.map(([py, px]) => Math.hypot(py - y, px - x));
  return far.indexOf(Math.min(...far));
}

function buildPanels() {
  const image = imageNow();
  $("caption").textContent = image.caption;
  const picture = new Image();
  picture.onload = drawAll;
  picture.src = `data:image/png;base64,${image.png}`;
  panels = image.networks.map((network, number) => buildPanel(network, number, picture));
  $("networks").replaceChildren(...panels.map((panel) => panel.element));
}

function buildPanel(network, number, picture) {
  const canvas = make("canvas", { tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "image with a cursor");
  canvas.setAttribute("aria-label", `${imageNow().name} as ${network.label} sees it`);
  canvas.setAttribute("aria-describedby", "help");
  const right = network.right === null ? "" : network.right ? " (right)" : " (wrong)";
  const says = `says ${network.says}, ${Math.round(100 * network.share)} %${right}`;
  const scale = make("div", { className: "scale" });
  const rows = make("tbody");
  const cells = network.gates.map((gate, k) => {
    const values = [1, 2, 3, 4].map(() => make("td"));
    const box = make("input", { type: "checkbox", checked: !state.off.has(gate.site) });
    box.addEventListener("change", () => {
      state.off[box.checked ? "delete" : "add"](gate.site);
      panels.forEach((panel) => panel.boxes.forEach((other) => {
        if (other.site === gate.site) other.box.checked = box.checked;
      }));
      drawAll();
    });
    const name = gate.points ? make("label", {}, box, glyph(k), gate.site) : gate.site;
    const head = make("th", { scope: "row" }, name);
    rows.append(make("tr", {}, head, ...values));
    return { gate, values, box, site: gate.site };
  });
  const titles = ["gate", "passed here", "mean shift", "largest", "outside"];
  const head = make("tr", {}, ...titles.map((text) => make("th", { scope: "col", textContent: text })));
  const element = make("article", { className: "network" },
    make("h3", { textContent: network.label }), make("p", { className: "says", textContent: says }),
    canvas, scale);
  if (cells.length) {
    const table = make("table", {}, make("caption", { className: "hidden", textContent: `${network.label} at the cursor` }),
      make("thead", {}, head), rows);
    element.append(make("div", { className: "scroll" }, table));
  } else element.append(make("p", { className: "says", textContent: "No gates." }));
  network.notes.forEach((note) => element.append(make("p", { className: "quiet", textContent: note })));
  const panel = { network, number, canvas, scale, picture, element, cells, boxes: cells };
  listen(panel);
  return panel;
}

function drawAll() {
  panels.forEach(draw);
  $("row").value = Math.round(state.place[0]);
  $("column").value = Math.round(state.place[1]);
}

function draw(panel) {
  const { canvas, network, picture } = panel;
  const image = imageNow();
  const wide = Math.max(200, Math.round(canvas.clientWidth * Math.min(window.devicePixelRatio, 2)));
  canvas.width = wide;
  canvas.height = Math.round((wide * image.height) / image.width);
  const pen = canvas.getContext("2d");
  const frame = frameOf(canvas, image);
  const size = Math.max(4, canvas.width / 90);
  pen.fillStyle = "#808080";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingEnabled = image.width >= 160;
  if (picture.complete) pen.drawImage(picture, ...frame.box);
  const shown = shownBy(network, image);
  if (shown.map) {
    pen.imageSmoothingEnabled = Boolean(shown.fades);
    pen.globalAlpha = $("strength").value / 100;
    const bytes = unpackMap(shown.map, shown.index ?? 0);
    pen.drawImage(pictureOf(bytes, shown.map, shown.stops, shown.fades), ...frame.box);
    pen.globalAlpha = 1;
  }
  drawRegion(pen, frame, image);
  if ($("points").checked) {
    network.gates.forEach((gate, k) => {
      if (state.off.has(gate.site)) return;
      drawPoints(pen, frame, image, pointsAt(gate, image, state.place), markerOf(k), size * (k < 2 ? 0.8 : 1));
    });
  }
  if (shown.place) drawRing(pen, frame, shown.place, 2 * size);
  drawCross(pen, frame, state.place, size);
  panel.scale.replaceChildren(...scaleOf(shown));
  panel.cells.forEach(({ gate, values }) => {
    const { passed, mean, most, outside, count } = readingOf(gate);
    values[0].textContent = passed === null ? "–" : `${Math.round(100 * passed)} %`;
    values[1].textContent = count ? `${near(mean)} px` : "–";
    values[2].textContent = count ? `${near(most)} px` : "–";
    values[3].textContent = count ? `${outside} of ${count}` : "–";
  });
}

function scaleOf(shown) {
  if (!shown.map) return [shown.text];
  const bar = make("i");
  bar.style.background = gradientOf(shown.stops);
  return [shown.low, bar, shown.high, make("span", { textContent: shown.text })];
}

// What one gate does at the cursor.
function readingOf(gate) {
  const points = pointsAt(gate, imageNow(), state.place);
  const shifts = points.map((one) => one.shift);
  return {
    passed: gate.passed ? valueAt(gate.passed, imageNow(), state.place) : null,
    mean: shifts.reduce((sum, value) => sum + value, 0) / Math.max(1, shifts.length),
    most: Math.max(0, ...shifts),
    outside: points.filter((one) => one.outside).length,
    count: points.length,
  };
}

function speak(delay) {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const words = panels.map(({ network }) => {
      const gates = network.gates.filter((gate) => gate.points).map((gate) => {
        const { mean, outside } = readingOf(gate);
        return `${gate.site} mean shift ${near(mean)} pixels${outside ? `, ${outside} outside` : ""}`;
      });
      return gates.length ? `${network.label}: ${gates.join("; ")}` : "";
    });
    const [y, x] = state.place.map(Math.round);
    $("live").textContent = [`Row ${y}, column ${x}`, ...words.filter(Boolean)].join(". ");
  }, delay);
}

function moveTo([y, x], delay) {
  const { height, width } = imageNow();
  state.place = [clamp(y, 0, height - 1), clamp(x, 0, width - 1)];
  drawAll();
  speak(delay);
}

function listen({ canvas }) {
  const placeOf = (event) => {
    const ratio = canvas.width / canvas.clientWidth;
    return frameOf(canvas, imageNow()).from(event.offsetX * ratio, event.offsetY * ratio);
  };
  canvas.addEventListener("pointermove", (event) => state.held || moveTo(placeOf(event), 400));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse") state.held = !state.held;
    moveTo(placeOf(event), 100);
  });
  canvas.addEventListener("keydown", (event) => {
    const { height, width } = imageNow();
    const step = (side) => (event.shiftKey ? 1 : Math.max(1, Math.round(side / 32)));
    const [y, x] = state.place;
    const goals = {
      ArrowUp: [y - step(height), x], ArrowDown: [y + step(height), x],
      ArrowLeft: [y, x - step(width)], ArrowRight: [y, x + step(width)],
      Home: [(height - 1) / 2, (width - 1) / 2],
    };
    if (goals[event.key]) {
      state.held = true;
      moveTo(goals[event.key].map(event.key === "Home" ? Math.floor : Math.round), 100);
    } else if (event.key.toLowerCase() === "b" && !event.ctrlKey && !event.metaKey) {
      chooseSide(state.side === "after" ? "before" : "after");
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      const options = [...$("layer").options];
      const next = $("layer").selectedIndex + (event.key === "PageUp" ? -1 : 1);
      chooseLayer(options[(next + options.length) % options.length].value);
      $("live").textContent = $("layer").selectedOptions[0].textContent;
    } else return;
    event.preventDefault();
  });
}

function chooseSide(side) {
  state.side = side;
  document.querySelector(`input[name="side"][value="${side}"]`).checked = true;
  $("live").textContent = `Grad-CAM ${side} the gate`;
  drawAll();
}

function chooseLayer(layer) {
  state.layer = layer;
  $("layer").value = layer;
  $("sides").disabled = !layer.startsWith("cam ");
  drawAll();
}

function chooseImage(index) {
  state.image = index;
  state.held = false;
  const image = imageNow();
  $("row").max = image.height - 1;
  $("column").max = image.width - 1;
  state.place = [Math.floor((image.height - 1) / 2), Math.floor((image.width - 1) / 2)];
  const layers = layersOf(image);
  $("layer").replaceChildren(...[...layers].map(([value, text]) => make("option", { value, textContent: text })));
  buildPanels();
  const cams = [...layers.keys()].filter((key) => key.startsWith("cam "));
  const shared = cams.filter((key) => image.networks.every(({ cams: own }) => own.some(({ name }) => `cam ${name}` === key)));
  chooseLayer(layers.has(state.layer) ? state.layer : shared.at(-1) ?? cams.at(-1) ?? "image");
}

$("image").append(...DATA.images.map((image, value) => make("option", { value, textContent: image.name })));
$("image").addEventListener("change", (event) => chooseImage(Number(event.target.value)));
$("layer").addEventListener("change", (event) => chooseLayer(event.target.value));
$("sides").addEventListener("change", (event) => chooseSide(event.target.value));
$("strength").addEventListener("input", drawAll);
$("points").addEventListener("change", drawAll);
for (const name of ["row", "column"]) {
  $(name).addEventListener("change", () => {
    state.held = true;
    moveTo([Number($("row").value), Number($("column").value)], 100);
  });
}
$("theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
});
$("controls").addEventListener("submit", (event) => event.preventDefault());
new ResizeObserver(drawAll).observe($("networks"));
chooseImage(0);
