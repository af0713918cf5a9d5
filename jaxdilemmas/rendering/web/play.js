"use strict";
// Plays a game that a server computes: sends the keys of one person, shows frames. The messages are those of
// baselines.playing.messages.

const PACES = [0, 2, 4, 8, 15], RETRY = 1000;

class Game {
  constructor(root) {
    this.root = root;
    this.find = (id) => root.querySelector(`#${id}`);
    Object.assign(this, { frame: null, marks: null, drawn: 0, board: null });
    for (const rate of PACES) this.find("pace").append(new Option(rate ? `${rate} steps a second` : "turn by turn", rate));
    this.listen();
    this.connect();
  }

  connect() {
    const { search, host } = location;
    this.refusal = "not connected";
    this.socket = new WebSocket(`ws://${host}/ws${search}`);
    this.socket.addEventListener("message", (event) => this.hear(JSON.parse(event.data)));
    this.socket.addEventListener("close", () => {
      this.tell(`${this.refusal}; trying again`);
      setTimeout(() => this.connect(), RETRY);
    });
  }

  hear(message) {
    if (message.type === "hello") this.open(message);
    else if (message.type === "frame") this.receive(message);
    else this.tell(message.message);
    this.refusal = message.type === "error" ? message.message : "not connected";
  }

  send(type, fields = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }

  tell(sentence) {
    this.find("message").textContent = sentence;
  }

  open(hello) {
    this.hello = hello;
    this.marks = null;
    document.title = this.find("title").textContent = `agent ${hello.seat}: ${hello.title}`;
    this.board = new Board(this.find("board"), hello.picture);
    const side = this.root.querySelector("aside");
    side.replaceChildren();
    this.panel = new Panel(side, this.board);
    const own = this.panel.agents[hello.seat][0];
    own.textContent = `agent ${hello.seat}: you`;
    own.parentElement.className = "own";
    this.actions = new Map();
    this.find("keys").replaceChildren();
    hello.keys.forEach(({ name, keys }, action) => {
      for (const key of keys) this.actions.set(key, action);
      const button = element("button", [name, keys.join(", ")].filter(Boolean).join(": "));
      button.type = "button";
      button.addEventListener("click", () => this.send("act", { action }));
      this.find("keys").append(button);
    });
    this.tell("");
  }

  receive(frame) {
    if (frame.marks) this.marks = Int32Array.from(frame.marks);
    else
      for (let k = 0; k < frame.changes.length; k += 1 + FIELDS)
        for (let field = 0; field < FIELDS; field++) this.marks[frame.changes[k] * FIELDS + field] = frame.changes[k + 1 + field];
    this.frame = frame;
    this.show();
    document.documentElement.dataset.ready = "";
  }

  // Where the agent of this page stands, or null if it is not on the board.
  seat() {
    const names = this.hello.picture.glyphs.map((glyph) => glyph.name), { marks } = this;
    for (let k = 0; k < marks.length; k += FIELDS)
      if (names[marks[k]] === "agent" && marks[k + 6] === this.hello.seat)
        return { x: marks[k + 1] / UNIT, y: marks[k + 2] / UNIT, turn: marks[k + 3] };
    return null;
  }

  show() {
    const { frame, hello } = this;
    if (!frame) return;
    const isOwn = this.find("view").value !== "-1", window = isOwn ? hello.picture.window : null;
    this.board.fit(this.find("board").parentElement.clientWidth, Math.max(0.62 * innerHeight, 240), window);
    this.board.draw(this.marks, window, window && this.seat());
    this.find("observation").textContent = isOwn && frame.observation ? `you observe ${JSON.stringify(frame.observation)}` : "";
    this.panel.update({ ...frame, notes: frame.actions && frame.actions.map((action) => hello.keys[action].name) });
    this.find("pause").textContent = frame.is_paused ? "go on" : "pause";
    this.find("pace").value = frame.rate;
    this.find("note").textContent = this.note(frame);
    this.drawn++;
  }

  // What the game waits for, in one sentence.
  note(frame) {
    const away = frame.away.length ? `; away, so standing: agent ${frame.away.join(", ")}` : "";
    const kept = `; ${frame.num_episodes} whole episodes are kept`;
    if (frame.is_over) return `the episode is over: restart begins the next one${kept}`;
    if (frame.is_paused) return `paused${away}${kept}`;
    const others = frame.waiting_for.filter((agent) => agent !== this.hello.seat);
    if (frame.rate || frame.waiting_for.includes(this.hello.seat)) return `choose what agent ${this.hello.seat} does${away}${kept}`;
    return `waiting for agent ${others.join(", ")}${away}${kept}`;
  }

  listen() {
    const on = (id, type, act) => this.find(id).addEventListener(type, act);
    on("view", "change", () => this.show());
    on("pace", "change", (event) => this.send("pace", { rate: Number(event.target.value) }));
    on("pause", "click", () => this.pause());
    on("back", "click", () => this.send("back", { steps: 1 }));
    on("back10", "click", () => this.send("back", { steps: 10 }));
    on("restart", "click", () => this.send("restart"));
    on("save", "click", () => this.send("save"));
    // so that keys choose actions and not buttons again
    this.root.addEventListener("click", (event) => event.target.matches("button") && event.target.blur());
    this.root.addEventListener("change", (event) => event.target.blur());
    addEventListener("resize", () => this.show());
    addEventListener("keydown", (event) => this.press(event));
  }

  pause() {
    this.send("pause", { is_paused: this.frame && this.frame.is_paused ? 0 : 1 });
  }

  press(event) {
    if (!this.hello || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("select, input") || (event.target.matches("button") && [" ", "Enter"].includes(event.key))) return;
    const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = this.actions.get(key);
    if (action !== undefined) this.send("act", { action });
    else if (key === "Backspace") this.send("back", { steps: 1 });
    else if (key === "p") this.pause();
    else return;
    event.preventDefault();
    this.tell("");
  }
}

function start() {
  const root = document.querySelector("main");
  if (typeof WebSocket === "undefined") root.textContent = "This page needs a browser with WebSocket: any of the last ten years.";
  else globalThis.game = new Game(root);
}

start();
