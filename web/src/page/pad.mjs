/**
 * The 2D pose over its picture: joints that mouse, touch and keys move.
 *
 * @typedef {import("../numeric/body.mjs").JointSet} JointSet
 */

const NS = "http://www.w3.org/2000/svg";
const STEP = { plain: 0.006, shift: 0.03 };

export class Pad {
  /**
   * @param {SVGSVGElement} svg
   * @param {{start: () => void, move: () => void, pick: (person: number) => void}} on start: before a pose changes;
   *   move: after it did
   */
  constructor(svg, on) {
    this.svg = svg;
    this.on = on;
    this.width = 640;
    this.height = 640;
    /** @type {Float32Array} */
    this.points = new Float32Array();
    /** @type {JointSet | null} */
    this.set = null;
    this.bones = svg.appendChild(document.createElementNS(NS, "g"));
    this.joints = svg.appendChild(document.createElementNS(NS, "g"));
    this.others = svg.insertBefore(document.createElementNS(NS, "g"), this.bones);
    this.others.classList.add("others");
    /** @type {Map<number, SVGGElement>} by joint */
    this.handles = new Map();
    /** @type {{joint: number, pointer: number, dx: number, dy: number} | null} */
    this.held = null;
    svg.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of /** @type {const} */ (["pointerup", "pointercancel"]))
      svg.addEventListener(kind, (event) => {
        if (this.held?.pointer !== event.pointerId) return;
        this.handles.get(this.held.joint)?.classList.remove("held");
        this.held = null;
      });
  }

  /** Whether somebody holds a joint. */
  get busy() {
    return this.held !== null;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    [this.width, this.height] = [width, height];
    this.svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
  }

  /**
   * @param {Float32Array} points J x 3, the derived joints included; changed in place by hands
   * @param {JointSet} set
   */
  show(points, set) {
    if (this.set !== set) this.rebuild(set);
    this.points = points;
    this.draw();
  }

  /**
   * Other people of the picture, which a press picks.
   * @param {{points: Float32Array, set: JointSet, person: number}[]} people
   */
  showOthers(people) {
    this.others.replaceChildren(...people.map(({ points, set, person }) => {
      const group = document.createElementNS(NS, "g");
      for (const [a, b] of set.skeleton)
        if (points[3 * a + 2] > 0 && points[3 * b + 2] > 0) group.append(line(points, a, b));
      group.addEventListener("pointerdown", () => this.on.pick(person));
      return group;
    }));
  }

  clear() {
    this.bones.replaceChildren();
    this.joints.replaceChildren();
    this.others.replaceChildren();
    this.handles.clear();
    this.set = null;
  }

  /** @param {JointSet} set */
  rebuild(set) {
    this.set = set;
    this.handles.clear();
    this.bones.replaceChildren(...set.skeleton.map(([a, b]) => {
      const bone = document.createElementNS(NS, "line");
      bone.classList.add(sideOf(set.names[a], set.names[b]));
      return bone;
    }));
    const derived = new Set(set.derived.map(([joint]) => joint));
    this.joints.replaceChildren(...set.names.flatMap((name, joint) => {
      if (derived.has(joint)) return [];
      const handle = document.createElementNS(NS, "g");
      handle.classList.add("joint", sideOf(name, name));
      handle.setAttribute("tabindex", "0");
      handle.setAttribute("role", "button");
      handle.dataset.joint = name;
      const [reach, dot] = [document.createElementNS(NS, "circle"), document.createElementNS(NS, "circle")];
      reach.classList.add("reach");
      dot.classList.add("dot");
      const title = document.createElementNS(NS, "title");
      title.textContent = spoken(name);
      handle.append(title, reach, dot);
      handle.addEventListener("pointerdown", (event) => this.take(event, joint));
      handle.addEventListener("keydown", (event) => this.key(event, joint));
      this.handles.set(joint, handle);
      return [handle];
    }));
  }

  draw() {
    const { set, points } = this;
    if (!set) return;
    set.skeleton.forEach(([a, b], i) => {
      const bone = /** @type {SVGLineElement} */ (this.bones.children[i]);
      const seen = points[3 * a + 2] > 0 && points[3 * b + 2] > 0;
      bone.style.display = seen ? "" : "none";
      if (seen) place(bone, points, a, b);
    });
    for (const [joint, handle] of this.handles) {
      const [x, y, seen] = points.subarray(3 * joint, 3 * joint + 3);
      handle.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)})`);
      handle.classList.toggle("missing", !(seen > 0));
      handle.setAttribute("aria-label", `${spoken(set.names[joint])}, ${
        seen > 0 ? `at ${Math.round(x)}, ${Math.round(y)}` : "not seen"}`);
    }
  }

  /** @param {PointerEvent} event */
  at(event) {
    const matrix = this.svg.getScreenCTM();
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix?.inverse());
    return [point.x, point.y];
  }

  /**
   * @param {PointerEvent} event
   * @param {number} joint
   */
  take(event, joint) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    const [x, y] = this.at(event);
    // Of joints that overlap the nearest is meant.
    /** @type {(j: number) => number} */
    const far = (j) => Math.hypot(this.points[3 * j] - x, this.points[3 * j + 1] - y);
    for (const other of this.handles.keys()) if (far(other) < far(joint)) joint = other;
    const handle = this.handles.get(joint);
    handle?.focus({ preventScroll: true });
    handle?.classList.add("held");
    this.held = {
      joint, pointer: event.pointerId, dx: this.points[3 * joint] - x, dy: this.points[3 * joint + 1] - y,
    };
    this.on.start();
  }

  /** @param {PointerEvent} event */
  drag(event) {
    if (this.held?.pointer !== event.pointerId) return;
    const [x, y] = this.at(event);
    this.put(this.held.joint, x + this.held.dx, y + this.held.dy);
  }

  /**
   * @param {number} joint
   * @param {number} x
   * @param {number} y
   */
  put(joint, x, y) {
    this.points[3 * joint] = Math.min(Math.max(x, -0.5), this.width - 0.5);
    this.points[3 * joint + 1] = Math.min(Math.max(y, -0.5), this.height - 0.5);
    if (!(this.points[3 * joint + 2] > 0.5)) this.points[3 * joint + 2] = 1;
    this.on.move();
    this.draw();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} joint
   */
  key(event, joint) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const step = (event.shiftKey ? STEP.shift : STEP.plain) * Math.max(this.width, this.height);
    if (way) {
      event.preventDefault();
      this.on.start();
      this.put(joint, this.points[3 * joint] + step * way[0], this.points[3 * joint + 1] + step * way[1]);
    } else if (event.key === "Delete" || event.key === "Backspace" || event.key === "x") {
      event.preventDefault();
      this.on.start();
      const seen = this.points[3 * joint + 2] > 0;
      const present = this.points.filter((v, i) => i % 3 === 2 && v > 0).length;
      if (!seen || present > 5) this.points[3 * joint + 2] = seen ? 0 : 1;
      this.on.move();
      this.draw();
    }
  }
}

/**
 * @param {Float32Array} points
 * @param {number} a
 * @param {number} b
 */
function line(points, a, b) {
  const out = document.createElementNS(NS, "line");
  place(out, points, a, b);
  return out;
}

/**
 * @param {SVGLineElement} bone
 * @param {Float32Array} points
 * @param {number} a
 * @param {number} b
 */
function place(bone, points, a, b) {
  bone.setAttribute("x1", points[3 * a].toFixed(2));
  bone.setAttribute("y1", points[3 * a + 1].toFixed(2));
  bone.setAttribute("x2", points[3 * b].toFixed(2));
  bone.setAttribute("y2", points[3 * b + 1].toFixed(2));
}

/** @param {string} a @param {string} b */
function sideOf(a, b) {
  const sides = new Set([a[1] === "_" ? a[0] : "", b[1] === "_" ? b[0] : ""]);
  return sides.has("L") && !sides.has("R") ? "left" : sides.has("R") && !sides.has("L") ? "right" : "middle";
}

/** @param {string} name "L_Wrist" @returns {string} "left wrist" */
export function spoken(name) {
  const side = name.startsWith("L_") ? "left " : name.startsWith("R_") ? "right " : "";
  return side + name.replace(/^[LR]_/, "").replace(/_(h36m|smpl|mpii|3dhp)$/, "").replaceAll("_", " ").toLowerCase();
}
