/**
 * The page: what is shown, and what hands and files change.
 *
 * @typedef {import("./numeric/camera.mjs").Camera} Camera
 * @typedef {{set: string, points: Float32Array, result: any, seen: any, box: any}} Person points: J x 3; result: what is
 *   shown; seen: what the image network said
 */
import { cameraOf, sizeAround } from "./numeric/camera.mjs";
import { complete } from "./numeric/joints.mjs";
import { Client } from "./page/client.mjs";
import { connect } from "./page/controls.mjs";
import { Film } from "./page/film.mjs";
import { fromHash } from "./page/link.mjs";
import { Pad } from "./page/pad.mjs";
import { decoded, drawn, kindOf } from "./page/pictures.mjs";
import { readPoses } from "./page/pose_files.mjs";
import { preset } from "./page/presets.mjs";
import { Stage } from "./page/stage.mjs";
import { inside } from "./page/inside.mjs";

/** @type {(id: string) => any} */
const $ = (id) => document.getElementById(id);
const MOST_UNDO = 100;

export class App {
  constructor() {
    /** @type {Person[]} */
    this.people = [];
    this.current = 0;
    /** @type {Camera} */
    this.camera = cameraOf(640, 640);
    this.hasPicture = false;
    this.method = "lift";
    /** @type {{person: number, points: Float32Array, method: string}[]} */
    this.past = [];
    /** @type {number[]} */
    this.betas = [];
    this.opened = 0;
    // Made by start().
    /** @type {Client} */
    this.client;
    /** @type {any} what the worker tells of the body */
    this.body;
    /** @type {Stage} */
    this.stage;
    /** @type {Pad} */
    this.pad;
    /** @type {Film} */
    this.film;
  }

  async start() {
    const { worker, files, threads } = await inside();
    this.client = new Client(worker, { files, threads }, (name, share) => this.loading(name, share));
    this.body = await this.client.ask("body");
    this.stage = new Stage($("stage"), $("overlay"), this.body);
    this.stage.onturn = () => this.pressed("sides", null);
    this.pad = new Pad($("pad"), {
      start: () => this.remember(), move: () => this.moved(), pick: (person) => this.pick(person),
    });
    this.film = new Film(this, $("film"), $("webcam"));
    connect(this);
    new ResizeObserver(() => this.layout()).observe($("picture"));
    await this.fromLink() || await this.setPoses([{ set: "coco", points: preset("waving") }], 640, 640);
    addEventListener("hashchange", () => this.fromLink());
    document.documentElement.dataset.ready = "yes";
  }

  /** @returns {Promise<boolean>} whether the address holds a pose */
  async fromLink() {
    const shared = fromHash(location.hash, this.body.jointSets);
    if (shared) await this.setPoses([{ set: shared.set, points: shared.points }], shared.width, shared.height);
    return shared !== null;
  }

  // What is shown -------------------------------------------------------------------------------------------------

  /**
   * @param {{set: string, points: ArrayLike<number>}[]} poses
   * @param {number} width
   * @param {number} height
   */
  async setPoses(poses, width, height) {
    if (!this.hasPicture || this.camera.width !== width || this.camera.height !== height) this.clearPicture();
    this.camera = cameraOf(width, height);
    this.people = poses.map(({ set, points }) => ({
      set, points: complete(points, this.body.jointSets[set]), result: null, seen: null, box: null,
    }));
    this.setMethod("lift");
    this.begin();
    await Promise.all(this.people.map((_, i) => this.lift(i)));
    this.draw(true);
  }

  begin() {
    this.current = 0;
    this.past = [];
    this.pad.resize(this.camera.width, this.camera.height);
    this.layout();
    this.chips();
    this.showPose();
  }

  clearPicture() {
    this.film?.stop();
    this.hasPicture = false;
    $("photo").hidden = true;
    this.method = "lift";
    for (const id of ["over-label", "method", "overlay"]) $(id).hidden = true;
  }

  /** @param {string} method "recover": what the image network said; "lift": from the joints */
  setMethod(method) {
    this.method = method;
    $("method").hidden = !this.people.some((p) => p.seen);
    this.pressed("method", method, "method");
  }

  showPose() {
    const person = this.people[this.current];
    if (!person) return this.pad.clear();
    this.pad.show(person.points, this.body.jointSets[person.set]);
    this.pad.showOthers(this.people.flatMap((p, i) =>
      i === this.current ? [] : [{ points: p.points, set: this.body.jointSets[p.set], person: i }]));
    $("undo").disabled = !this.past.length;
  }

  /** @param {boolean} [frame] */
  draw(frame = false) {
    const figures = this.people.map((p) => p.result).filter(Boolean);
    $("overlay").hidden = !(this.hasPicture && $("over").checked);
    this.stage.show(figures, this.camera, frame);
    $("loading").hidden = true;
  }

  /**
   * @param {number} i
   * @param {boolean} [moving]
   */
  async lift(i, moving = false) {
    const person = this.people[i];
    const job = { pose: person.points, set: person.set, camera: this.camera };
    const betas = this.betas.some((b) => b !== 0) ? this.betas : null;
    const answer = await this.client.ask("lift", { ...job, betas }, { channel: `lift:${i}` });
    if (!answer || this.people[i] !== person) return;
    person.result = answer;
    if (moving) this.draw();
    const root = answer.translation[2];
    this.say(`${this.name(i)} ${root.toFixed(1)} m away, lifted in ${answer.ms.toFixed(0)} ms.`);
  }

  /** @param {number} i */
  name(i) {
    return this.people.length > 1 ? `Person ${i + 1}:` : "A person";
  }

  // What hands change ---------------------------------------------------------------------------------------------

  remember() {
    const person = this.people[this.current];
    this.past.push({ person: this.current, points: Float32Array.from(person.points), method: this.method });
    if (this.past.length > MOST_UNDO) this.past.shift();
    $("undo").disabled = false;
  }

  moved() {
    const person = this.people[this.current];
    const set = this.body.jointSets[person.set];
    person.points.set(complete(person.points.subarray(0, 3 * set.base), set));
    if (this.method !== "lift") this.setMethod("lift");
    this.lift(this.current, true).catch((error) => this.wrong(error));
  }

  undo() {
    const last = this.past.pop();
    if (!last) return;
    this.people[last.person].points.set(last.points);
    this.pick(last.person);
    this.useMethod(last.method);
  }

  mirror() {
    const person = this.people[this.current];
    if (!person) return;
    this.remember();
    /** @type {string[]} */
    const names = this.body.jointSets[person.set].names;
    const old = Float32Array.from(person.points);
    const seen = names.flatMap((_, j) => (old[3 * j + 2] > 0 ? [old[3 * j]] : []));
    const middle = Math.min(...seen) + Math.max(...seen);
    names.forEach((name, j) => {
      const other = name.startsWith("L_") ? `R_${name.slice(2)}` : name.startsWith("R_") ? `L_${name.slice(2)}` : name;
      const from = 3 * names.indexOf(other);
      person.points.set(old[from + 2] > 0 ? [middle - old[from], old[from + 1], old[from + 2]] : [0, 0, 0], 3 * j);
    });
    this.moved();
    this.showPose();
  }

  /** @param {number} person */
  pick(person) {
    this.current = person;
    this.chips();
    this.showPose();
  }

  chips() {
    $("people").replaceChildren(...(this.people.length < 2 ? [] : this.people.map((_, i) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = String(i + 1);
      chip.setAttribute("aria-label", `Person ${i + 1}`);
      chip.setAttribute("aria-pressed", String(i === this.current));
      chip.addEventListener("click", () => this.pick(i));
      return chip;
    })));
  }

  /** @param {string} method */
  async useMethod(method) {
    this.setMethod(method);
    if (method === "recover") {
      for (const person of this.people) if (person.seen) person.result = await this.shaped(person.seen);
      this.draw();
    } else {
      await Promise.all(this.people.map((_, i) => this.lift(i)));
      this.draw();
    }
  }

  /** @param {any} seen @returns {Promise<any>} the same body with the sliders' shape */
  async shaped(seen) {
    if (!this.betas.some((b) => b !== 0)) return seen;
    return { ...seen, ...await this.client.ask("shape", { rig: seen.rig, betas: this.betas }) };
  }

  async reshape() {
    if (this.method === "recover") {
      const person = this.people[this.current];
      const answer = await this.client.ask("shape", { rig: person.seen.rig, betas: this.betas }, { channel: "shape" });
      if (answer) person.result = { ...person.seen, ...answer };
    } else await this.lift(this.current);
    this.draw();
  }

  // Files ---------------------------------------------------------------------------------------------------------

  /** @param {File[]} files */
  async open(files) {
    const token = ++this.opened;
    try {
      for (const kind of ["picture", "film", "pose"])
        for (const file of files.filter((f) => kindOf(f) === kind)) {
          if (kind === "picture") await this.openPicture(file, token, !files.some((f) => kindOf(f) === "pose"));
          else if (kind === "film") await this.film.open(file);
          else await this.openPose(await file.text());
          if (kind !== "pose") break;
        }
    } catch (error) {
      if (token === this.opened) this.wrong(error);
    }
  }

  /** @param {string} text */
  async openPose(text) {
    const size = this.hasPicture ? { width: this.camera.width, height: this.camera.height } : null;
    const { poses, width, height } = readPoses(text, size);
    const around = sizeAround(poses.flatMap((p) => p.points));
    await this.setPoses(poses, Math.round(width ?? around.width), Math.round(height ?? around.height));
    this.say(`${poses.length === 1 ? "One pose" : `${poses.length} poses`} of ${poses[0].set} joints.`);
  }

  /**
   * @param {Blob} file
   * @param {number} token
   * @param {boolean} recover
   */
  async openPicture(file, token, recover) {
    const { image, focal_px } = await decoded(file);
    this.clearPicture();
    this.camera = cameraOf(image.width, image.height, focal_px);
    drawn($("photo"), image);
    $("photo").hidden = false;
    this.hasPicture = true;
    $("over-label").hidden = false;
    this.people = [];
    this.begin();
    this.draw();
    await this.client.ask("picture", { image: { data: image.data, width: image.width, height: image.height } });
    if (recover) await this.recoverAll(token);
  }

  /** @param {number} token */
  async recoverAll(token) {
    const start = performance.now();
    this.say("Looking for people …");
    const { people: finds } = await this.client.ask("detect");
    if (token !== this.opened) return;
    if (!finds.length) return this.say("Nobody was found in this picture.", true);
    for (const [i, { box }] of finds.entries()) {
      this.say(`Person ${i + 1} of ${finds.length} …`);
      const seen = await this.client.ask("recover", { box, camera: this.camera, fast: false });
      if (token !== this.opened) return;
      this.people.push({ set: "coco", points: Float32Array.from(seen.pose), result: seen, seen, box });
      this.setMethod("recover");
      this.chips();
      this.showPose();
      this.draw(i === 0);
    }
    this.draw(true);
    const count = finds.length === 1 ? "One person" : `${finds.length} people`;
    this.say(`${count} found in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
  }

  // Words ---------------------------------------------------------------------------------------------------------

  /**
   * @param {string} group
   * @param {string | null} value
   * @param {string} [key]
   */
  pressed(group, value, key) {
    for (const button of $(group).children)
      button.setAttribute("aria-pressed", String(key !== undefined && button.dataset[key] === value));
  }

  /**
   * @param {string} text
   * @param {boolean} [wrong]
   */
  say(text, wrong = false) {
    $("status").textContent = text;
    $("status").classList.toggle("wrong", wrong);
  }

  /** @param {any} error */
  wrong(error) {
    const text = String(error?.message ?? error);
    this.say(text[0].toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : "."), true);
    $("loading").hidden = true;
  }

  /**
   * @param {string} name
   * @param {number} share
   */
  loading(name, share) {
    const about = {
      "ort.wasm": "Loading the engine", "body.bin": "Loading the body", "pose2mesh.onnx": "Loading the lifter",
      "detector.onnx": "Loading the detector", "i2l-body.onnx": "Loading the image network",
    }[name];
    if (!about) return;
    $("loading").hidden = share >= 1 && this.people.some((p) => p.result);
    $("loading").classList.toggle("small", this.hasPicture || this.film?.playing || this.people.some((p) => p.result));
    $("loading-text").textContent = about;
    $("progress").value = share;
  }

  /** The picture as large as its panel allows. */
  layout() {
    const { clientWidth, clientHeight } = $("picture");
    const scale = Math.min(clientWidth / this.camera.width, clientHeight / this.camera.height);
    for (const id of ["photo", "film", "overlay", "pad"]) {
      $(id).style.width = `${this.camera.width * scale}px`;
      $(id).style.height = `${this.camera.height * scale}px`;
    }
    // Joints are as large on the screen in every picture, for fingers as well.
    if (scale > 0) $("pad").style.setProperty("--unit", String(0.9 / scale));
  }
}

const app = new App();
/** @type {any} */ (globalThis).openhmr = app;
app.start().catch((error) => app.wrong(error));
