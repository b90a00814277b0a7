// Drawing. A margin around the image leaves room for points that lie outside of it.
const MARGIN = 0.09;
const GLOW = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
const GREEN = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function mix(stops, share) {
  const at = clamp(share, 0, 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  return stops[low].map((value, k) => value + (stops[low + 1][k] - value) * (at - low));
}

function gradientOf(stops) {
  return `linear-gradient(90deg, ${stops.map((color) => `rgb(${color})`).join(", ")})`;
}

// A map of bytes as a small picture; cold places of a glowing map let the image through.
function pictureOf(bytes, packed, stops, fades) {
  const picture = document.createElement("canvas");
  picture.width = packed.width;
  picture.height = packed.height;
  const pixels = new ImageData(packed.width, packed.height);
  bytes.forEach((byte, index) => {
    const color = mix(stops, byte / 255);
    pixels.data.set([...color, fades ? 40 + (215 * byte) / 255 : 255], 4 * index);
  });
  picture.getContext("2d").putImageData(pixels, 0, 0);
  return picture;
}

// From pixels of the image to pixels of the canvas, and back.
function frameOf(canvas, image) {
  const scale = canvas.width / (image.width * (1 + 2 * MARGIN));
  const left = MARGIN * image.width;
  const top = MARGIN * image.height;
  return {
    scale,
    to: ([y, x]) => [(x + 0.5 + left) * scale, (y + 0.5 + top) * scale],
    from: (px, py) => [py / scale - 0.5 - top, px / scale - 0.5 - left],
    box: [left * scale, top * scale, image.width * scale, image.height * scale],
  };
}

function trace(pen, marker, x, y, size) {
  const turn = { s: [4, Math.PI / 4], D: [4, 0], "^": [3, -Math.PI / 2], v: [3, Math.PI / 2] }[marker];
  pen.beginPath();
  if (!turn) {
    pen.arc(x, y, size * 0.9, 0, 2 * Math.PI);
    return;
  }
  for (let corner = 0; corner < turn[0]; corner += 1) {
    const angle = turn[1] + (corner * 2 * Math.PI) / turn[0];
    pen.lineTo(x + 1.25 * size * Math.cos(angle), y + 1.25 * size * Math.sin(angle));
  }
  pen.closePath();
}

function drawPoints(pen, frame, image, points, [color, marker], size) {
  const [left, top, width, height] = frame.box;
  const limit = ([x, y]) => [
    clamp(x, size, 2 * left + width - size), clamp(y, size, 2 * top + height - size),
  ];
  for (const [line, style] of [[0.3 * size + 2, "rgba(0,0,0,.5)"], [0.3 * size, color]]) {
    pen.lineWidth = line;
    pen.strokeStyle = style;
    for (const one of points) {
      pen.beginPath();
      pen.moveTo(...limit(frame.to(one.regular)));
      pen.lineTo(...limit(frame.to(one.point)));
      pen.stroke();
    }
  }
  for (const one of points) {
    trace(pen, marker, ...limit(frame.to(one.point)), size);
    pen.lineWidth = one.outside ? 0.5 * size + 1.5 : 0.25 * size + 1;
    pen.strokeStyle = "#000";
    if (!one.outside) {
      pen.fillStyle = color;
      pen.fill();
    }
    pen.stroke();
    if (one.outside) {
      pen.lineWidth = 0.3 * size;
      pen.strokeStyle = color;
      pen.stroke();
    }
  }
}

function drawRegion(pen, frame, image) {
  const strokes = boundaryOf(image);
  for (const [width, color] of [[3, "#000"], [1.5, "#fff"]]) {
    pen.lineWidth = width * Math.max(1, frame.scale / 4);
    pen.lineCap = "square";
    pen.strokeStyle = color;
    pen.beginPath();
    for (const [y0, x0, y1, x1] of strokes) {
      pen.moveTo(...frame.to([y0, x0]));
      pen.lineTo(...frame.to([y1, x1]));
    }
    pen.stroke();
  }
}

function drawRing(pen, frame, place, size) {
  for (const [width, color] of [[4, "#000"], [2, "#fff"]]) {
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.beginPath();
    pen.arc(...frame.to(place), size, 0, 2 * Math.PI);
    pen.stroke();
  }
}

function drawCross(pen, frame, place, size) {
  const [x, y] = frame.to(place);
  for (const [width, color] of [[0.7 * size, "#000"], [0.3 * size, "#fff"]]) {
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.beginPath();
    pen.moveTo(x - 2 * size, y);
    pen.lineTo(x + 2 * size, y);
    pen.moveTo(x, y - 2 * size);
    pen.lineTo(x, y + 2 * size);
    pen.stroke();
  }
}
