// Following one run: what it is, the snapshots it already has (HTTP), then each new one when it exists (WebSocket, or
// HTTP polling where no socket gets through). The browser asks, so a slow browser is never flooded.

import { decode, split } from "./frame.js";
import { Gaps } from "./gaps.js";

export const FINISHED = new Set(["done", "stopped", "failed", "interrupted"]);
const CHUNK = 64;
const HIDDEN_ASK = 5000; // a hidden tab still watches, but rarely: its run must not be stopped behind the reader's back
const SILENCE = 15000; // the server answers every ask within about a second; longer means the line is dead

const pause = (ms, signal) => new Promise((resolve) => {
  const end = () => { clearTimeout(timer); signal.removeEventListener("abort", end); resolve(); };
  const timer = setTimeout(end, ms);
  signal.addEventListener("abort", end);
});

const painted = () => new Promise((resolve) => {
  if (document.hidden) setTimeout(resolve, HIDDEN_ASK);
  else { const timer = setTimeout(resolve, 250); requestAnimationFrame(() => { clearTimeout(timer); resolve(); }); }
});

export class Feed {
  info = null;
  status = { state: "opening", reason: "", snapshots: 0, queue: 0 };
  frames = []; // by index; may have holes while frames arrive out of order
  ready = 0; // frames 0 .. ready - 1 are all there
  lane = "http";
  lost = false;
  #abort = null;

  /** `heard(what)` is called after each change with "info", "frames", "status", "gaps" or "restart". */
  constructor({ base, run, map = "", heard }) {
    Object.assign(this, { base, run, heard });
    this.path = `${base}/losslab/runs/${encodeURIComponent(run)}`;
    this.drawn = map ? `map=${encodeURIComponent(map)}` : ""; // by which projection
    this.gaps = new Gaps(this.path, () => heard("gaps"));
  }

  get finished() { return FINISHED.has(this.status.state); }
  get complete() { return this.finished && this.info !== null && this.ready >= this.status.snapshots; }

  start() {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.#follow(this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
  }

  async #follow(signal) {
    let [wait, retry] = [500, 4000];
    while (!signal.aborted && !this.complete) {
      try {
        await this.#describe(signal);
        await this.#backlog(signal);
        this.#lose(false);
        wait = 500;
        if (signal.aborted || this.complete) break;
        const worked = await this.#listen(signal);
        if (signal.aborted) break;
        retry = worked ? 4000 : Math.min(60000, retry * 2);
        if (!this.complete) await this.#poll(signal, worked ? 1000 : retry);
      } catch (error) {
        if (signal.aborted) break;
        this.#lose(true, error);
        await pause(wait, signal);
        wait = Math.min(8000, wait * 1.7);
      }
    }
  }

  async #get(path, signal) {
    const answer = await fetch(path, { signal: AbortSignal.any([signal, AbortSignal.timeout(20000)]), cache: "no-store" });
    if (answer.status === 400) { // it will not answer otherwise later: say why and leave it
      this.#hear({ ...this.status, state: "failed", reason: await answer.text(), snapshots: this.ready });
      this.stop();
    }
    if (!answer.ok) throw Object.assign(new Error(`${answer.status}`), { status: answer.status });
    return answer;
  }

  async #describe(signal) {
    const info = await (await this.#get(`${this.path}?${this.drawn}`, signal)).json();
    if (signal.aborted) return;
    const again = this.info && (info.snapshots < this.ready || info.labels.length !== this.info.labels.length);
    if (again) this.#restart();
    this.info = info;
    this.heard("info");
    this.#hear(info);
  }

  #restart() {
    [this.frames, this.ready] = [[], 0];
    this.gaps = new Gaps(this.path, () => this.heard("gaps"));
    this.heard("restart");
  }

  /** Takes what exists beyond `ready`, a chunk at a time; the number of frames that came. */
  async #backlog(signal) {
    let came = 0;
    while (!signal.aborted) {
      const answer = await this.#get(`${this.path}/frames?start=${this.ready}&count=${CHUNK}&${this.drawn}`, signal);
      const before = this.ready, state = answer.headers.get("losslab-state");
      for (const frame of split(await answer.arrayBuffer())) this.#take(frame, false);
      if (state && state !== this.status.state) this.#hear({ ...this.status, state, snapshots: Math.max(this.ready, this.status.snapshots) });
      if (this.ready === before) return came;
      came += this.ready - before;
      this.heard("frames");
      if (this.ready >= this.status.snapshots) return came;
    }
    return came;
  }

  #take(buffer, tell = true) {
    const frame = decode(buffer);
    this.frames[frame.index] = frame;
    while (this.frames[this.ready]) this.ready++;
    if (this.status.snapshots < this.ready) this.status = { ...this.status, snapshots: this.ready };
    if (tell) this.heard("frames");
  }

  #hear({ state, reason = "", snapshots = this.status.snapshots, queue = 0 }) {
    this.status = { state, reason, snapshots, queue };
    this.heard("status");
  }

  #lose(lost, error = null) {
    const missing = error?.status === 404;
    if (this.lost === lost && this.missing === missing) return;
    [this.lost, this.missing] = [lost, missing];
    this.heard("status");
  }

  #setLane(lane) {
    if (this.lane === lane) return;
    this.lane = lane;
    this.heard("status");
  }

  /** Asks over the socket until the run has ended or the line drops; true if the socket ever answered. */
  #listen(signal) {
    return new Promise((resolve) => {
      const url = new URL(`${this.path}/watch?${this.drawn}`, location.href);
      url.protocol = url.protocol.replace("http", "ws");
      let [worked, timer] = [false, 0];
      let socket;
      try { socket = new WebSocket(url); } catch { resolve(false); return; }
      socket.binaryType = "arraybuffer";
      const close = () => socket.close();
      const ask = () => {
        if (socket.readyState !== WebSocket.OPEN) return;
        socket.send(JSON.stringify({ next: this.ready }));
        clearTimeout(timer);
        timer = setTimeout(close, SILENCE);
      };
      timer = setTimeout(close, 6000); // to open
      signal.addEventListener("abort", close, { once: true });
      socket.onopen = ask;
      socket.onmessage = async ({ data }) => {
        clearTimeout(timer);
        if (signal.aborted) return;
        worked = true;
        this.#setLane("socket");
        this.#lose(false);
        try {
          if (typeof data === "string") {
            const status = JSON.parse(data);
            if (status.snapshots < this.ready) { close(); return; } // started anew: describe it again
            this.#hear(status);
          } else this.#take(data);
        } catch { close(); return; }
        if (this.complete) { close(); return; }
        await painted();
        ask();
      };
      socket.onclose = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", close);
        if (!this.complete) this.#setLane("http");
        resolve(worked);
      };
    });
  }

  /** Polls for `duration` ms, after which the socket is worth another try. */
  async #poll(signal, duration) {
    const until = performance.now() + duration;
    for (let turn = 0; performance.now() < until && !signal.aborted && !this.complete; turn++) {
      const came = await this.#backlog(signal);
      if (came === 0 && turn % 3 === 0) await this.#describe(signal);
      await pause(document.hidden ? HIDDEN_ASK : came ? 250 : 700, signal);
    }
  }
}
