// Time: which place between which two snapshots is shown. Training has its own clock; this is the reader's.

const PACE = 6; // snapshots a second at speed 1
const WHOLE = 20; // ... but no run takes longer than this many seconds at speed 1

export class Player {
  position = 0; // in snapshots; between two integers the picture is interpolated
  playing = false;
  live = false; // follows the newest snapshot, about one behind
  speed = 1;
  count = 0;
  still = false; // reduced motion: real snapshots only
  #interval = 0.3; // measured seconds between arrivals
  #last = null;

  get end() { return Math.max(0, this.count - 1); }
  get index() { return Math.min(this.end, Math.floor(this.position + 1e-6)); } // the last real snapshot reached
  get real() { return Math.abs(this.position - this.index) < 1e-6; }
  get moving() { return (this.playing || this.live) && this.position < this.end; }

  arrived(count, now) {
    if (count > this.count) {
      if (this.#last !== null) this.#interval += 0.3 * (Math.min(2, Math.max(0.03, (now - this.#last) / 1000 / (count - this.count))) - this.#interval);
      this.#last = now;
    }
    const first = this.count === 0;
    this.count = count;
    if (this.live && (first || this.still)) this.position = this.end;
    // far behind (a long backlog): show the present, not a fast replay of the past
    if (this.live && this.end - this.position > 12) this.position = this.end - 1;
  }

  restart() {
    [this.position, this.count, this.#last] = [0, 0, null];
  }

  tick(seconds, open) {
    if (this.live) {
      const behind = this.end - this.position;
      this.position = Math.min(this.end, this.position + (seconds / this.#interval) * Math.max(1, behind) * 1.02);
      if (this.still) this.position = this.end;
      if (!open && this.position >= this.end) this.live = false; // nothing newer will come
    } else if (this.playing) {
      this.position += seconds * Math.max(PACE, this.count / WHOLE) * this.speed;
      if (this.position >= this.end) {
        this.position = this.end;
        this.playing = false;
        this.live = open; // a replay that has caught up with training goes on live
      }
    }
  }

  toggle(open) {
    if (this.playing || this.live) { this.playing = this.live = false; return; }
    if (this.position >= this.end) { if (open) { this.live = true; return; } this.position = 0; }
    this.playing = true;
  }

  seek(position) {
    this.playing = this.live = false;
    this.position = Math.max(0, Math.min(this.end, position));
  }

  step(by) {
    const from = by > 0 ? Math.floor(this.position + 1e-6) : Math.ceil(this.position - 1e-6);
    this.seek(from + by);
  }

  follow() { this.playing = false; this.live = true; }
}
