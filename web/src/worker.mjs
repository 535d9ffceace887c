/**
 * Everything numeric, off the page's thread. Of each channel only the newest job that waits is done; an answer carries
 * the job's id.
 *
 * @typedef {{channel: string, id: number, kind: string, [key: string]: any}} Job
 */
import * as ort from "onnxruntime-web/wasm";
import { Engine } from "./engine.mjs";
import { fetched } from "./files.mjs";
import { dress } from "./numeric/dress.mjs";
import { restJoints } from "./numeric/skinning.mjs";

/** @type {Promise<Engine> | null} */
let engine = null;
/** @type {Map<string, Job>} */
const waiting = new Map();
let busy = false;
/** @type {import("./numeric/crop.mjs").Image | null} */
let picture = null;

function shown() {
  if (!picture) throw new Error("there is no picture; open one first");
  return picture;
}

const tick = new MessageChannel();
/** @returns {Promise<void>} after the messages that are already there */
const breath = () => new Promise((resolve) => {
  tick.port1.onmessage = () => resolve();
  tick.port2.postMessage(0);
});

/**
 * @param {{files: import("./files.mjs").Source, threads: number}} setup
 * @returns {Promise<Engine>}
 */
async function open({ files, threads }) {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  /** @type {(name: string) => Promise<ArrayBuffer>} */
  const file = (name) => fetched(files, name, (share) => postMessage({ kind: "loading", name, share }));
  if ("base" in files) ort.env.wasm.wasmPaths = { mjs: new URL("ort.mjs", files.base).href };
  ort.env.wasm.wasmBinary = await file("ort.wasm");
  return Engine.open(ort, {
    file, cuts: async () => JSON.parse(new TextDecoder().decode(await file("plain.json"))),
  });
}

/** @param {Float32Array} vertices */
async function dressed(vertices) {
  return dress((await /** @type {Promise<Engine>} */ (engine)).body, vertices);
}

/** @type {Record<string, (engine: Engine, job: Job) => Promise<Record<string, any>>>} */
const work = {
  async body({ body }) {
    const { faces, suit, shirts, jointSets, jointNames, parents, numBetas } = body;
    return { faces, edges: suit.edges, shirts, jointSets, jointNames, parents, numBetas };
  },
  async lift(engine, { pose, set, camera, betas }) {
    await engine.session("pose2mesh"); // its loading is no part of the time that is told
    const start = performance.now();
    const lifted = await engine.lift(pose, set, camera);
    const ms = performance.now() - start;
    if (!betas) return { ...lifted, ms, ...await dressed(lifted.vertices) };
    const rig = engine.rigOf(lifted);
    betas.forEach((/** @type {number} */ beta, /** @type {number} */ i) => (rig.betas[i] += beta));
    const vertices = engine.skin(rig);
    return { ...lifted, ms, vertices, rig, ...await dressed(vertices) };
  },
  async rig(engine, { lifted }) {
    return { rig: engine.rigOf(lifted) };
  },
  async shape(engine, { rig, betas }) {
    const moved = { ...rig, betas: rig.betas.map((/** @type {number} */ b, /** @type {number} */ i) => b + betas[i]) };
    const vertices = engine.skin(moved);
    return { vertices, rig: moved, ...await dressed(vertices) };
  },
  async picture(_, { image }) {
    picture = image;
    return {};
  },
  async detect(engine) {
    return { people: await engine.detect(shown()) };
  },
  async recover(engine, { box, camera, fast }) {
    const found = await engine.recover(shown(), box, camera, { fast });
    return { ...found, ...await dressed(found.vertices) };
  },
  /** The largest person of a film's frame: in a box that follows them, or where one look at the whole finds them. */
  async frame(engine, { image, camera, box }) {
    const [found] = box ? [{ box }] : (await engine.detect(image, { quick: true }))
      .sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3]);
    if (!found) return { person: null };
    const person = await engine.recover(image, found.box, camera, { fast: true });
    return { person: { ...person, ...await dressed(person.vertices) } };
  },
  async skeleton(engine, { betas }) {
    return { joints: restJoints(engine.body, betas) };
  },
};

async function drain() {
  if (busy) return;
  busy = true;
  while (waiting.size) {
    const [channel, job] = /** @type {[string, Job]} */ (waiting.entries().next().value);
    waiting.delete(channel);
    try {
      const answer = await work[job.kind](await /** @type {Promise<Engine>} */ (engine), job);
      postMessage({ kind: "done", id: job.id, channel, answer });
    } catch (error) {
      postMessage({ kind: "failed", id: job.id, channel, message: String(/** @type {Error} */ (error)?.message ?? error) });
    }
    await breath();
  }
  busy = false;
}

addEventListener("message", ({ data }) => {
  if (data.kind === "open") {
    engine = open(data);
    engine.catch(() => {});
    return;
  }
  const passed = waiting.get(data.channel);
  if (passed) postMessage({ kind: "passed", id: passed.id, channel: data.channel });
  waiting.set(data.channel, data);
  drain();
});
