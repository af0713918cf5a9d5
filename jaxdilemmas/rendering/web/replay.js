"use strict";
// Plays recorded episodes: one, or two side by side. The data are those of jaxdilemmas.rendering.replay.

const SPEEDS = [1, 2, 5, 10, 20, 50, 100], KEYFRAME = 200;

// The frames of an episode from differences, with a whole frame in memory now and then.
class Frames {
  constructor(first, changes) {
    this.changes = changes;
    this.keyframes = [Int32Array.from(first)];
    this.marks = Int32Array.from(first);
    this.at = 0;
  }

  seek(step) {
    const nearest = Math.min(Math.floor(step / KEYFRAME), this.keyframes.length - 1);
    if (step < this.at || nearest * KEYFRAME > this.at) {
      this.marks = this.keyframes[nearest].slice();
      this.at = nearest * KEYFRAME;
    }
    while (this.at < step) {
      const change = this.changes[this.at++];
      for (let k = 0; k < change.length; k += 1 + FIELDS)
        for (let field = 0; field < FIELDS; field++) this.marks[change[k] * FIELDS + field] = change[k + 1 + field];
      if (this.at === this.keyframes.length * KEYFRAME) this.keyframes.push(this.marks.slice());
    }
    return this.marks;
  }
}

// One episode: its board, its panel, its chart of returns.
class Episode {
  constructor(data, root) {
    Object.assign(this, data);
    this.frames = new Frames(data.first, data.changes);
    this.length = data.changes.length;
    const title = element("h2", data.title);
    const metrics = Object.entries(data.metrics).map(([name, value]) => `${name.replaceAll("_", " ")} ${formatNumber(value)}`);
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.observation = element("pre", "", "observation");
    this.chart = document.createElement("canvas");
    this.chart.className = "chart";
    const [section, side, main] = [element("section"), element("aside"), element("div", "", "board")];
    main.append(this.canvas, this.observation, this.chart);
    section.append(title, element("p", metrics.join(" · "), "metrics"), main, side);
    root.append(section);
    this.board = new Board(this.canvas, data.picture);
    this.panel = new Panel(side, this.board);
    this.main = main;
  }

  // Where agent i stands, or null if it is not on the board; the view of other games is not limited to a window.
  seatOf(agent, marks) {
    const names = this.picture.glyphs.map((glyph) => glyph.name);
    for (let k = 0; k < marks.length; k += FIELDS)
      if (names[marks[k]] === "agent" && marks[k + 6] === agent)
        return { x: marks[k + 1] / UNIT, y: marks[k + 2] / UNIT, turn: marks[k + 3] };
    return null;
  }

  draw(step, agent) {
    if (!this.main.clientWidth) return; // a frame that is not shown yet
    step = Math.min(step, this.length);
    const marks = this.frames.seek(step);
    const window = agent >= 0 ? this.picture.window : null;
    this.board.fit(this.main.clientWidth, Math.max(0.62 * innerHeight, 240), window);
    this.board.draw(marks, window, window && this.seatOf(agent, marks));
    const seen = agent >= 0 && this.observations ? this.observations[step][agent] : null;
    this.observation.textContent = seen ? `agent ${agent} observes ${JSON.stringify(seen)}` : "";
    const totals = Object.entries(this.events).map(([name, steps]) => {
      const done = steps.filter(([when]) => when <= step).reduce((sum, [, , amount]) => sum + amount, 0);
      return `${name.replaceAll("_", " ")} ${formatNumber(done)}`;
    });
    this.panel.update({
      step: this.first_step + step,
      returns: this.returns[step],
      status: this.status[step],
      notes: step ? this.actions[step - 1].map((action) => this.picture.actions[action] || `action ${action}`) : null,
      levels: this.levels[step],
      events: totals.join(" · "),
    });
    this.drawChart(step);
  }

  // Returns of all agents over time, and a line where we are.
  drawChart(step) {
    const { chart } = this, ratio = globalThis.devicePixelRatio || 1;
    const [width, height] = [Math.round(this.main.clientWidth * ratio), Math.round(70 * ratio)];
    if (chart.width !== width || !this.lines) {
      [chart.width, chart.height] = [width, height];
      this.lines = document.createElement("canvas");
      [this.lines.width, this.lines.height] = [width, height];
      const context = this.lines.getContext("2d"), all = this.returns.flat();
      const [low, high] = all.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [0, 1e-9]);
      for (let i = 0; i < this.picture.num_agents; i++) {
        context.beginPath();
        context.strokeStyle = this.board.colourOf(i);
        context.lineWidth = 1.5 * ratio;
        this.returns.forEach((values, t) => {
          const [x, y] = [(t / Math.max(this.length, 1)) * width, height - 2 - ((values[i] - low) / (high - low)) * (height - 4)];
          if (t) context.lineTo(x, y);
          else context.moveTo(x, y);
        });
        context.stroke();
      }
    }
    const context = chart.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.lines, 0, 0);
    context.fillStyle = INK;
    context.fillRect((step / Math.max(this.length, 1)) * (width - ratio), 0, ratio, height);
  }
}

class Player {
  constructor(root, episodes) {
    this.episodes = episodes.map((data) => new Episode(data, root.querySelector(".episodes")));
    this.length = Math.max(...this.episodes.map((episode) => episode.length));
    this.find = (id) => root.querySelector(`#${id}`);
    Object.assign(this, { step: 0, speed: 10, agent: HIDDEN, isPlaying: false, drawn: 0 });
    this.find("time").max = this.length;
    this.fillChoices();
    this.listen();
    this.show(0);
  }

  fillChoices() {
    for (const speed of SPEEDS) this.find("speed").append(new Option(`${speed} steps/s`, speed, false, speed === this.speed));
    const numAgents = this.episodes[0].picture.num_agents;
    this.find("view").append(new Option("everything", HIDDEN));
    for (let i = 0; i < numAgents; i++) this.find("view").append(new Option(`what agent ${i} sees`, i));
    const names = [...new Set(this.episodes.flatMap((episode) => Object.keys(episode.events)))];
    for (const name of names) this.find("event").append(new Option(name.replaceAll("_", " "), name));
    this.find("jump").hidden = !names.length;
  }

  listen() {
    const on = (id, type, act) => this.find(id).addEventListener(type, (event) => act(event.target));
    on("play", "click", () => this.toggle());
    on("back", "click", () => this.show(this.step - 1));
    on("forward", "click", () => this.show(this.step + 1));
    on("time", "input", (target) => this.show(Number(target.value)));
    on("speed", "change", (target) => (this.speed = Number(target.value)));
    on("view", "change", (target) => this.look(Number(target.value)));
    on("previous", "click", () => this.jump(-1));
    on("next", "click", () => this.jump(1));
    for (const episode of this.episodes)
      episode.chart.addEventListener("click", (event) => this.show(Math.round((event.offsetX / episode.chart.clientWidth) * episode.length)));
    addEventListener("resize", () => this.show(this.step));
    new ResizeObserver(() => this.show(this.step)).observe(this.episodes[0].main); // a frame gets its size after the page
    addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.target.matches("select, input, button") && event.key === " ") return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.show(this.step - 1),
      ArrowRight: () => this.show(this.step + 1),
      Home: () => this.show(0),
      End: () => this.show(this.length),
      n: () => this.jump(1),
      p: () => this.jump(-1),
      a: () => this.look(HIDDEN),
    };
    const act = acts[event.key] || (/^[0-9]$/.test(event.key) ? () => this.look(Number(event.key)) : null);
    if (!act) return;
    event.preventDefault();
    act();
  }

  look(agent) {
    this.agent = agent < this.episodes[0].picture.num_agents ? agent : this.agent;
    this.find("view").value = this.agent;
    this.show(this.step);
  }

  // Goes to the next step (or the one before) in which the chosen event happened in any episode.
  jump(direction) {
    const steps = this.episodes.flatMap((episode) => episode.events[this.find("event").value] || []).map(([when]) => when);
    const ahead = steps.filter((when) => (when - this.step) * direction > 0);
    if (ahead.length) this.show(direction > 0 ? Math.min(...ahead) : Math.max(...ahead));
  }

  toggle() {
    this.isPlaying = !this.isPlaying;
    if (this.isPlaying && this.step === this.length) this.show(0);
    this.find("play").textContent = this.isPlaying ? "pause" : "play";
    this.since = undefined;
    if (this.isPlaying) requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    if (!this.isPlaying) return;
    if (this.since === undefined) [this.since, this.from] = [now, this.step];
    const step = Math.min(this.from + Math.floor(((now - this.since) / 1000) * this.speed), this.length);
    if (step !== this.step) this.show(step);
    if (step === this.length) this.toggle();
    else requestAnimationFrame((next) => this.tick(next));
  }

  show(step) {
    const before = this.step;
    this.step = Math.min(Math.max(step, 0), this.length);
    if (this.isPlaying && this.step < before) this.since = undefined;
    for (const episode of this.episodes) episode.draw(this.step, this.agent);
    this.find("time").value = this.step;
    this.find("where").textContent = `${this.step} / ${this.length}`;
    this.drawn++;
  }
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

async function start() {
  const root = document.querySelector("main");
  if (typeof DecompressionStream === "undefined") {
    root.textContent = "This page needs a browser with DecompressionStream: Chrome 80, Firefox 113, Safari 16.4, or newer.";
    return;
  }
  const data = await unpack(document.querySelector("#data").textContent);
  globalThis.player = new Player(root, data);
  document.documentElement.dataset.ready = Math.round(performance.now());
}

start();
