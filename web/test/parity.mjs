// Runs cases that Python wrote: `node parity.mjs FOLDER` reads cases.json and files in FOLDER, writes one .f32 a case.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-web/wasm";
import { Engine } from "../src/engine.mjs";
import { cameraOf } from "../src/numeric/camera.mjs";
import { cut } from "../src/numeric/crop.mjs";
import { dress } from "../src/numeric/dress.mjs";
import { complete } from "../src/numeric/joints.mjs";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const folder = process.argv[2];
const buffer = async (path) => {
  const data = await readFile(path);
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
};
const cases = JSON.parse(await readFile(join(folder, "cases.json"), "utf8"));
const engine = await Engine.open(ort, {
  file: (name) => buffer(name.endsWith(".bin") ? join(folder, name) : join(cases.weights, name)),
  cuts: async () => JSON.parse(await readFile(join(folder, "plain.json"), "utf8")),
});
const save = (name, ...arrays) =>
  writeFile(join(folder, `${name}.f32`), Buffer.concat(arrays.map((a) => Buffer.from(Float32Array.from(a).buffer))));

for (const { name, set, width, height, pose } of cases.lift) {
  const camera = cameraOf(width, height);
  const points = complete(pose, engine.body.jointSets[set]);
  const lifted = await engine.lift(points, set, camera);
  const rig = engine.rigOf(lifted);
  await save(name, lifted.vertices, lifted.sigma, engine.skin(rig), rig.betas);
}
for (const { name, width, height, fast, boxes } of cases.pictures) {
  const image = { data: new Uint8Array(await buffer(join(folder, `${name}.rgba`))), width, height };
  const finds = await engine.detect(image);
  const people = [];
  for (const box of boxes ?? finds.map((f) => f.box)) people.push(await engine.recover(image, box, cameraOf(width, height), { fast }));
  const found = finds.flatMap((f) => [...f.points, ...f.box, f.score]);
  await save(name, found, ...people.flatMap((p) => [p.vertices, p.pose, p.sigma]));
}
if (cases.crops) {
  const { width, height, squares } = cases.crops;
  const image = { data: new Uint8Array(await buffer(join(folder, "crops.rgba"))), width, height };
  await save("crops", ...squares.map((square) => cut(image, square)));
}
if (cases.dress) {
  const { shown, normals } = dress(engine.body, new Float32Array(await buffer(join(folder, "bare.f32"))));
  await save("dressed", shown, normals);
}
if (cases.time) {
  const [{ set, width, height, pose }] = cases.lift;
  const points = complete(pose, engine.body.jointSets[set]);
  const times = [];
  for (let i = 0; i < cases.time; i++) {
    const start = performance.now();
    await engine.lift(points, set, cameraOf(width, height));
    times.push(performance.now() - start);
  }
  console.log(JSON.stringify({ lift_ms: times.sort((a, b) => a - b)[times.length >> 1] }));
}
