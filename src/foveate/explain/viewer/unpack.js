"use strict";
// Numbers come packed: bytes and 16-bit integers in base64. Coordinates are (y, x) in pixels.
const DATA = JSON.parse(document.getElementById("data").textContent);

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// A map of bytes; `index` picks one of several that lie one after another.
function unpackMap(packed, index = 0) {
  packed.bytes ??= bytesOf(packed.data);
  const size = packed.height * packed.width;
  return packed.bytes.subarray(index * size, (index + 1) * size);
}

function unpackPoints(packed) {
  if (!packed.view) packed.view = new DataView(bytesOf(packed.data).buffer);
  return packed.view;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// The cell of a map, height x width, that holds a place of the image.
function cellOf(map, image, [y, x]) {
  return [
    clamp(Math.floor((y + 0.5) * map.height / image.height), 0, map.height - 1),
    clamp(Math.floor((x + 0.5) * map.width / image.width), 0, map.width - 1),
  ];
}

function centerOf(map, image, [row, column]) {
  return [
    (row + 0.5) * image.height / map.height - 0.5,
    (column + 0.5) * image.width / map.width - 0.5,
  ];
}

// Where a gate samples for one place: each point with its regular place, displacement in pixels
// and whether it lies outside the map, where zeros are read.
function pointsAt(gate, image, place) {
  const packed = gate.points;
  if (!packed) return [];
  const view = unpackPoints(packed);
  const [row, column] = cellOf(packed, image, place);
  const first = (row * packed.width + column) * packed.taps;
  const cell = [image.height / packed.height, image.width / packed.width];
  const found = [];
  for (let tap = 0; tap < packed.taps; tap += 1) {
    const at = (axis) => view.getInt16(4 * (first + tap) + 2 * axis, true) * packed.scale;
    const point = [at(0), at(1)];
    const regular = centerOf(packed, image, [
      row + Math.floor((tap % 9) / 3) - 1, column + (tap % 3) - 1,
    ]);
    const inMap = point.map((value, axis) => (value + 0.5) / cell[axis] - 0.5);
    found.push({
      point,
      regular,
      shift: Math.hypot(point[0] - regular[0], point[1] - regular[1]),
      outside: inMap[0] <= -1 || inMap[1] <= -1
        || inMap[0] >= packed.height || inMap[1] >= packed.width,
    });
  }
  return found;
}

function valueAt(map, image, place) {
  const [row, column] = cellOf(map, image, place);
  const byte = unpackMap(map)[row * map.width + column];
  return map.low + (map.high - map.low) * byte / 255;
}

// The boundary of a region given as runs, as short strokes between pixels: [y0, x0, y1, x1].
function boundaryOf(image) {
  if (!image.region || image.strokes) return image.strokes ?? [];
  const { height, width } = image;
  const inside = new Uint8Array(height * width);
  let at = 0;
  image.region.forEach((length, number) => {
    if (number % 2) inside.fill(1, at, at + length);
    at += length;
  });
  const is = (y, x) => (y >= 0 && x >= 0 && y < height && x < width ? inside[y * width + x] : 0);
  image.strokes = [];
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0; x <= width; x += 1) {
      if (is(y, x) !== is(y - 1, x)) image.strokes.push([y - 0.5, x - 0.5, y - 0.5, x + 0.5]);
      if (is(y, x) !== is(y, x - 1)) image.strokes.push([y - 0.5, x - 0.5, y + 0.5, x - 0.5]);
    }
  }
  return image.strokes;
}
