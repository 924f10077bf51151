// Pointer, wheel and keys on the picture, turned into intentions.

const TAP = 5; // pixels a press may move and still be a click

export function attachHands(canvas, act) {
  const pointers = new Map();
  let [travel, last, pinch] = [0, 0, 0];
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { gap: Math.hypot(a[0] - b[0], a[1] - b[1]), at: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    [travel, last] = [pointers.size > 1 ? TAP + 1 : 0, event.timeStamp]; // several fingers do not click
    if (pointers.size === 2) pinch = spread().gap;
    act.hold(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const to = place(event), from = pointers.get(event.pointerId);
    if (!from) { act.hover(...to); return; }
    pointers.set(event.pointerId, to);
    if (pointers.size === 2) {
      const { gap, at } = spread();
      act.zoom(gap / (pinch || gap), at);
      pinch = gap;
      return;
    }
    travel += Math.hypot(to[0] - from[0], to[1] - from[1]);
    if (travel > TAP) act.drag(from, to, (event.timeStamp - last) / 1000);
    last = event.timeStamp;
  });
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (travel <= TAP && event.type === "pointerup") act.click(...place(event));
    else if (pointers.size === 0) act.release((event.timeStamp - last) / 1000);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => act.leave());
  canvas.addEventListener("dblclick", act.reset);
  canvas.addEventListener("wheel", (event) => {
    // zoomed out fully, the wheel belongs to the page again
    if (act.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), place(event))) event.preventDefault();
  }, { passive: false });
}

/** Keys anywhere in the stage; a focused control keeps those it understands itself. */
export function attachKeys(root, act) {
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tag = event.target.tagName, degrees = event.shiftKey ? 1 : 10;
    const own = tag === "SELECT" || (tag === "INPUT" && event.key !== " ") || (tag === "BUTTON" && [" ", "Enter"].includes(event.key));
    if (own && event.key !== "Escape") return;
    const keys = {
      ArrowLeft: () => act.turn([0, 1, 0], -degrees), ArrowRight: () => act.turn([0, 1, 0], degrees),
      ArrowUp: () => act.turn([1, 0, 0], -degrees), ArrowDown: () => act.turn([1, 0, 0], degrees),
      t: act.wander, "+": () => act.zoom(1.25), "=": () => act.zoom(1.25), "-": () => act.zoom(0.8), f: act.flip, r: act.reset,
      " ": act.play, "[": () => act.step(-1), "]": () => act.step(1), Home: act.first, End: act.last, Escape: act.escape, "?": act.help,
    };
    const handler = keys[event.key] ?? (/^[0-9]$/.test(event.key) ? () => act.digit(event.key) : null);
    if (!handler) return;
    handler();
    event.preventDefault();
    event.stopPropagation();
  });
}
