/**
 * The three networks and what surrounds them: poses and pictures in, placed meshes out. Runs in a worker and in node.
 *
 * @typedef {import("./numeric/camera.mjs").Camera} Camera
 * @typedef {import("./numeric/crop.mjs").Box} Box
 * @typedef {import("./numeric/crop.mjs").Image} Image
 * @typedef {import("./numeric/heads.mjs").Find} Find
 * @typedef {import("./numeric/lift.mjs").Lifted} Lifted
 * @typedef {import("./numeric/recover.mjs").Recovered} Recovered
 * @typedef {import("./numeric/skinning.mjs").Rig} Rig
 * @typedef {[number, number, string][]} Cuts places, lengths and new bytes (base64) of a file
 * @typedef {{file: (name: string) => Promise<ArrayBuffer>, cuts?: () => Promise<Cuts>}} Files
 */
import { Body } from "./numeric/body.mjs";
import { BodyFit } from "./numeric/body_fit.mjs";
import { cut, PATCH, squareOf } from "./numeric/crop.mjs";
import { decode } from "./numeric/heads.mjs";
import { lookAt, placed } from "./numeric/lift.mjs";
import { CANDIDATE, detect, MOST } from "./numeric/movenet.mjs";
import { place } from "./numeric/recover.mjs";
import { skin } from "./numeric/skinning.mjs";

const HEADS = ["centre", "box_size", "box_offset", "heat", "displacement", "offset"];

export class Engine {
  /**
   * @param {any} ort onnxruntime-web
   * @param {Body} body
   * @param {Files} files
   */
  constructor(ort, body, files) {
    this.ort = ort;
    this.body = body;
    this.files = files;
    this.bodyFit = new BodyFit(body);
    /** @type {Map<string, Promise<any>>} sessions, opened when first needed */
    this.sessions = new Map();
  }

  /**
   * @param {any} ort
   * @param {Files} files
   * @returns {Promise<Engine>}
   */
  static async open(ort, files) {
    return new Engine(ort, new Body(await files.file("body.bin")), files);
  }

  /**
   * @param {"pose2mesh" | "i2l-body" | "detector"} name
   * @param {boolean} [fast] without the pass over the mirrored picture
   * @returns {Promise<any>}
   */
  session(name, fast = false) {
    const key = fast ? `${name}:fast` : name;
    if (!this.sessions.has(key)) this.sessions.set(key, this.opened(name, fast).catch((error) => {
      this.sessions.delete(key);
      throw error;
    }));
    return /** @type {Promise<any>} */ (this.sessions.get(key));
  }

  /**
   * @param {string} name
   * @param {boolean} fast
   */
  async opened(name, fast) {
    let file = new Uint8Array(await this.files.file(`${name}.onnx`));
    if (fast && this.files.cuts) file = spliced(file, await this.files.cuts());
    return this.ort.InferenceSession.create(file, {
      executionProviders: ["wasm"], graphOptimizationLevel: "all", logSeverityLevel: 3,
    });
  }

  /**
   * @param {ArrayLike<number>} pose J x 3: x, y in pixels, confidence
   * @param {string} setName
   * @param {Camera} camera
   * @returns {Promise<Lifted>}
   */
  async lift(pose, setName, camera) {
    const set = this.body.jointSets[setName];
    const size = this.body.jointSets.points.points.length;
    const { input, rotation } = lookAt(pose, set, size, camera);
    const session = await this.session("pose2mesh");
    const out = await session.run({ pose2d: new this.ort.Tensor("float32", input, [1, size, 3]) });
    const found = { vertices: out.vertices.data, sigma: out.sigma?.data };
    return placed(found, rotation, pose, set, camera, this.body);
  }

  /**
   * Body parameters of a lifted mesh.
   * @param {Lifted} lifted
   * @returns {Rig}
   */
  rigOf(lifted) {
    const { coarse, sigma } = lifted;
    const ids = this.body.coarseIds;
    const picked = sigma && Float32Array.from({ length: coarse.length }, (_, i) =>
      sigma[3 * ids[Math.floor(i / 3)] + (i % 3)]);
    return this.bodyFit.fit(coarse, picked, this.bodyFit.turns(coarse), new Float64Array(this.body.numBetas));
  }

  /**
   * Everybody in a picture.
   * @param {Image} image
   * @param {{quick?: boolean}} [how]
   * @returns {Promise<Find[]>}
   */
  async detect(image, how) {
    const session = await this.session("detector");
    return detect(image, async (square) => {
      const out = await session.run({ image: this.patch(image, square) });
      const [rows, columns] = out.heat.dims.slice(2);
      const maps = Object.fromEntries(HEADS.map((name) => [name, out[name].data]));
      return decode(/** @type {any} */ (maps), rows, columns, MOST, CANDIDATE);
    }, how);
  }

  /**
   * The person in a box.
   * @param {Image} image
   * @param {Box} box
   * @param {Camera} camera
   * @param {{fast?: boolean}} [how]
   * @returns {Promise<Recovered>}
   */
  async recover(image, box, camera, { fast = false } = {}) {
    const session = await this.session("i2l-body", fast);
    const square = squareOf(box);
    const out = await session.run({ image: this.patch(image, square) });
    const found = Object.fromEntries(Object.entries(out).map(([name, tensor]) => [name, tensor.data]));
    return place(/** @type {any} */ (found), square, camera, this.body, this.bodyFit);
  }

  /**
   * @param {Rig} rig
   * @returns {Float32Array}
   */
  skin(rig) {
    return skin(this.body, rig);
  }

  /**
   * @param {Image} image
   * @param {import("./numeric/crop.mjs").Square} square
   */
  patch(image, square) {
    return new this.ort.Tensor("float32", cut(image, square), [1, 3, PATCH, PATCH]);
  }
}

/**
 * A file with some of its bytes replaced.
 * @param {Uint8Array} file
 * @param {Cuts} cuts in the order of their places
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function spliced(file, cuts) {
  const parts = [];
  let at = 0;
  for (const [start, length, text] of cuts) {
    parts.push(file.subarray(at, start), Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
    at = start + length;
  }
  parts.push(file.subarray(at));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    out.set(part, to);
    to += part.length;
  }
  return out;
}
