/**
 * What can be kept of a pose: files of 3D programs, a picture, the pose in the address.
 *
 * @typedef {import("../app.mjs").App} App
 */
import { bvhFile } from "../export/bvh.mjs";
import { glbFile, objFile } from "../export/files3d.mjs";
import { toHash } from "./link.mjs";
import { suitColours } from "./suit.mjs";

/**
 * @param {App} app
 * @param {string} kind glb, obj, bvh, png or link
 */
export async function save(app, kind) {
  const shown = app.people.map((p) => p.result).filter(Boolean);
  if (!shown.length) throw new Error("there is no body to save; choose a pose first");
  if (kind === "obj") download("body.obj", objFile(shown.map((r) => r.vertices), app.body.faces));
  else if (kind === "png") download("body.png", await app.stage.picture());
  else if (kind === "glb")
    download("body.glb", glbFile(shown.map((r, i) => ({
      ...r, colours: suitColours(app.body.shirts[i % app.body.shirts.length], app.body.edges),
    })), app.body.faces));
  else if (kind === "bvh") await saveBvh(app);
  else {
    const person = app.people[app.current];
    const base = 3 * app.body.jointSets[person.set].base;
    history.replaceState(null, "", toHash({ ...person, ...app.camera, points: person.points.subarray(0, base) }));
    await navigator.clipboard?.writeText(location.href).catch(() => {});
    app.say("The address holds this pose now, and is copied.");
  }
}

/** @param {App} app */
async function saveBvh(app) {
  let [rigs, frame_s] = [app.film.take.map((t) => t.rig), app.film.frameSeconds()];
  if (!rigs.length) {
    const { result } = app.people[app.current];
    [rigs, frame_s] = [[result.rig ?? (await app.client.ask("rig", { lifted: result })).rig], 1 / 30];
  }
  const count = rigs.length;
  const betas = Float64Array.from({ length: app.body.numBetas }, (_, k) => rigs.reduce((s, r) => s + r.betas[k], 0) / count);
  const { joints } = await app.client.ask("skeleton", { betas });
  download("body.bvh", bvhFile(rigs, frame_s, { names: app.body.jointNames, parents: app.body.parents, rest: joints }));
}

/**
 * @param {string} name
 * @param {Blob | null} blob
 */
function download(name, blob) {
  if (!blob) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
