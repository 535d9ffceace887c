// Builds the page: `node build.mjs OUT`. The same sources and packages give the same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../src/openhmr/serve/static");
const ort = join(here, "node_modules/onnxruntime-web/dist");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const common = {
  absWorkingDir: here, bundle: true, minify: true, charset: "utf8", legalComments: "none", target: "es2022",
  logLevel: "warning",
};
await build({ ...common, entryPoints: ["src/app.mjs"], format: "esm", outfile: join(out, "app.mjs") });
await build({ ...common, entryPoints: ["src/app.mjs"], format: "iife", outfile: join(out, "single/app.js") });
// Beside the page, the engine's threads are started from its own script.
await build({
  ...common, entryPoints: ["src/worker.mjs"], format: "esm", outfile: join(out, "worker.mjs"),
  conditions: ["onnxruntime-web-use-extern-wasm"],
});
await build({
  ...common, entryPoints: ["src/worker.mjs"], format: "iife", outfile: join(out, "single/worker.js"),
  define: { "import.meta.url": "self.location.href" },
});
await build({ ...common, entryPoints: ["src/style.css"], outfile: join(out, "style.css") });
await copyFile(join(here, "src/index.html"), join(out, "index.html"));
await copyFile(join(ort, "ort-wasm-simd-threaded.mjs"), join(out, "ort.mjs"));
await writeFile(join(out, "ort.wasm.gz"), gzipSync(await readFile(join(ort, "ort-wasm-simd-threaded.wasm")), { level: 9 }));

const require = createRequire(import.meta.url);
const licences = [];
for (const [name, holder] of [["three", null], ["onnxruntime-web", "Copyright (c) Microsoft Corporation"]]) {
  const folder = join(here, "node_modules", name);
  const { version } = require(join(folder, "package.json"));
  // Whose package holds no licence text has the same one, MIT, with its own holder.
  const mit = await readFile(join(here, "node_modules/three/LICENSE"), "utf8");
  const text = holder ? mit.replace(/^Copyright.*$/m, holder) : mit;
  licences.push(`${name} ${version}\n\n${text.trim()}\n`);
}
await writeFile(join(out, "LICENSES.txt"), licences.join(`\n${"-".repeat(72)}\n\n`));
const digest = createHash("sha256");
for (const name of ["app.mjs", "worker.mjs", "ort.wasm.gz", "style.css", "index.html"]) digest.update(await readFile(join(out, name)));
console.log(`${out}: ${digest.digest("hex").slice(0, 16)}`);
