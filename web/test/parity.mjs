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
  const { width, height, set, pose, picture, box, rounds } = cases.time;
  const camera = cameraOf(width, height);
  const points = complete(pose, engine.body.jointSets[set]);
  const image = { data: new Uint8Array(await buffer(join(folder, picture))), width, height };
  const jobs = {
    lift: () => engine.lift(points, set, camera),
    photo: () => engine.recover(image, box, camera),
    "photo, fast": () => engine.recover(image, box, camera, { fast: true }),
    detector: () => engine.detect(image),
  };
  const out = {};
  for (const [name, job] of Object.entries(jobs)) {
    await job();
    const times = [];
    for (let i = 0; i < rounds[name]; i++) {
      const [start, before] = [performance.now(), process.cpuUsage()];
      await job();
      const { user, system } = process.cpuUsage(before);
      times.push({ wall_ms: performance.now() - start, cpu_ms: (user + system) / 1000 });
    }
    const median = (key) => times.map((t) => t[key]).sort((a, b) => a - b)[times.length >> 1];
    out[name] = { wall_ms: median("wall_ms"), cpu_ms: median("cpu_ms") };
  }
  console.log(JSON.stringify(out));
}
