"use strict";
// Draws pictures on a canvas, and what stands beside them: signs on a plane, agents with their returns, gauges, a legend.
// The names are those of jaxdilemmas.rendering. Lengths of marks are in hundredths of a cell.

const HIDDEN = -1, FIELDS = 7, UNIT = 100, INK = "#22262b", PAPER = "#fbf9f4";

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function formatNumber(value) {
  return String(Number(Number(value).toPrecision(4)));
}

// The colour black or white that can be read on `colour`.
function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000000" : "#ffffff";
}

class Board {
  constructor(canvas, picture) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.picture = picture;
    this.sprites = new Map();
  }

  colourOf(agent) {
    return this.picture.colours[Math.max(agent, 0) % this.picture.colours.length];
  }

  // The sign as a small canvas of its own, drawn once for each size and agent.
  sprite(glyph, agent, width, height, scale) {
    const key = `${glyph} ${agent % this.picture.colours.length} ${width} ${height} ${scale}`;
    if (!this.sprites.has(key)) {
      const [wide, high] = [width, height].map((side) => Math.min(Math.max(Math.ceil((side / UNIT) * scale), 1), 2048));
      const sprite = document.createElement("canvas");
      [sprite.width, sprite.height] = [wide, high];
      const context = sprite.getContext("2d");
      context.setTransform(wide, 0, 0, high, wide / 2, high / 2);
      for (const shape of this.picture.glyphs[glyph].shapes) this.trace(context, shape, agent);
      if (this.sprites.size > 4000) this.sprites.clear();
      this.sprites.set(key, sprite);
    }
    return this.sprites.get(key);
  }

  trace(context, shape, agent) {
    const paint = (colour) => (colour === "agent" ? this.colourOf(agent) : colour);
    context.beginPath();
    if (shape.points.length === 1) context.arc(...shape.points[0], shape.radius, 0, 2 * Math.PI);
    else shape.points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    if (shape.fill) {
      context.fillStyle = paint(shape.fill);
      context.fill();
    }
    if (shape.stroke) {
      context.strokeStyle = paint(shape.stroke);
      context.lineWidth = shape.stroke_width;
      context.stroke();
    }
  }

  // Fits the canvas to a width in CSS pixels. `window` is what an agent sees, [ahead, behind, side], or null for all.
  fit(cssWidth, cssHeight, window) {
    const [wide, high] = window
      ? [2 * window[2] + 1, window[0] + window[1] + 1]
      : [this.picture.width, this.picture.height];
    const ratio = globalThis.devicePixelRatio || 1;
    const scale = Math.max(Math.min(cssWidth / wide, cssHeight / high) * ratio, 1);
    const [width, height] = [Math.round(wide * scale), Math.round(high * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      [this.canvas.style.width, this.canvas.style.height] = [`${width / ratio}px`, `${height / ratio}px`];
      this.ground = null;
    }
    this.scale = scale;
  }

  // Draws all marks, or what the agent at `seat` = {x, y, turn} sees through `window`; null shows nothing.
  draw(marks, window, seat) {
    const { context, canvas, scale } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = window && !seat ? INK : PAPER;
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (window && !seat) return;
    const base = { turn: 0, x: 0, y: 0, left: 0, top: 0 };
    if (window) Object.assign(base, seat, { turn: (-seat.turn * Math.PI) / 180, left: (window[2] + 0.5) * scale, top: (window[0] + 0.5) * scale });
    if (!this.ground) {
      this.ground = document.createElement("canvas");
      [this.ground.width, this.ground.height] = [this.picture.width, this.picture.height].map((side) => Math.round(side * scale));
      this.drawMarks(this.ground.getContext("2d"), this.picture.ground, { turn: 0, x: 0, y: 0, left: 0, top: 0 });
    }
    this.place(context, base, 0, 0, 0);
    context.drawImage(this.ground, 0, 0, this.picture.width, this.picture.height);
    this.drawMarks(context, marks, base);
  }

  // Moves the origin to (x, y) in cells, turned by `turn` in radians, one unit a cell. Returns the place in pixels.
  place(context, base, x, y, turn) {
    const [cosine, sine] = [Math.cos(base.turn), Math.sin(base.turn)];
    const [right, down] = [(x - base.x) * this.scale, (y - base.y) * this.scale];
    const at = [base.left + cosine * right - sine * down, base.top + sine * right + cosine * down];
    const [a, b] = [Math.cos(base.turn + turn) * this.scale, Math.sin(base.turn + turn) * this.scale];
    context.setTransform(a, b, -b, a, ...at);
    return at;
  }

  drawMarks(context, marks, base) {
    const numbers = [];
    for (let k = 0; k < marks.length; k += FIELDS) {
      const glyph = marks[k];
      if (glyph === HIDDEN) continue;
      const [x, y, turn, width, height, agent] = [marks[k + 1] / UNIT, marks[k + 2] / UNIT, marks[k + 3], marks[k + 4], marks[k + 5], marks[k + 6]];
      if (width <= 0 || height <= 0) continue;
      const at = this.place(context, base, x, y, (turn * Math.PI) / 180);
      const [wide, high] = [width / UNIT, height / UNIT];
      context.drawImage(this.sprite(glyph, agent, width, height, this.scale), -wide / 2, -high / 2, wide, high);
      if (this.picture.glyphs[glyph].is_numbered) numbers.push([agent, at, Math.min(wide, high) * this.scale]);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    [context.textAlign, context.textBaseline] = ["center", "middle"];
    for (const [agent, [x, y], size] of numbers) {
      context.fillStyle = inkOn(this.colourOf(agent));
      context.font = `${0.46 * size}px sans-serif`;
      context.fillText(String(agent), x, y + 0.06 * size);
    }
  }

  // A sign of its own for lists, so many CSS pixels high.
  icon(glyph, agent, side) {
    const icon = document.createElement("canvas");
    const ratio = globalThis.devicePixelRatio || 1;
    icon.width = icon.height = Math.round(side * ratio);
    icon.style.width = icon.style.height = `${side}px`;
    const scale = this.scale;
    this.scale = icon.width;
    this.drawMarks(icon.getContext("2d"), [glyph, 50, 50, 0, UNIT, UNIT, agent], { turn: 0, x: 0, y: 0, left: 0, top: 0 });
    this.scale = scale;
    return icon;
  }
}

// The step, agents with returns and status, gauges, events and the legend.
class Panel {
  constructor(root, board) {
    const { picture } = board;
    this.picture = picture;
    this.step = element("div", "", "step");
    this.agents = [];
    const table = element("table");
    const sign = picture.glyphs.findIndex((glyph) => ["agent", "walker", "car"].includes(glyph.name));
    for (let i = 0; i < picture.num_agents; i++) {
      const row = table.insertRow();
      row.insertCell().append(board.icon(sign, i, 18));
      this.agents.push([1, 2, 3].map(() => row.insertCell()));
      this.agents[i][0].textContent = `agent ${i}`;
    }
    this.total = element("div");
    this.gauges = picture.gauges.map((gauge) => {
      const bar = document.createElement("meter");
      [bar.min, bar.max] = [0, gauge.most];
      const label = element("label", gauge.name);
      label.append(bar, element("span"));
      return label;
    });
    this.events = element("div");
    const legend = element("ul", "", "legend");
    for (const [name, meaning] of Object.entries(picture.legend)) {
      const item = element("li");
      item.append(board.icon(picture.glyphs.findIndex((glyph) => glyph.name === name), HIDDEN, 18), meaning);
      legend.append(item);
    }
    root.append(this.step, table, this.total, ...this.gauges, this.events, legend);
  }

  // `shown` has step, returns [N], status [N] of words, notes [N], levels [G] and events, a line.
  update(shown) {
    this.step.textContent = `step ${shown.step}`;
    shown.returns.forEach((value, i) => {
      this.agents[i][1].textContent = formatNumber(value);
      this.agents[i][2].textContent = [shown.status[i], shown.notes ? shown.notes[i] : ""].filter(Boolean).join(", ");
    });
    this.total.textContent = `collective return ${formatNumber(shown.returns.reduce((sum, value) => sum + value, 0))}`;
    this.gauges.forEach((label, k) => {
      label.querySelector("meter").value = shown.levels[k];
      label.querySelector("span").textContent = `${formatNumber(shown.levels[k])} of ${formatNumber(this.picture.gauges[k].most)}`;
    });
    this.events.textContent = shown.events;
  }
}
