/**
 * Where this page finds its worker and its data: beside it, or in its own text where it is a single file.
 */

/** @param {string} id @returns {ArrayBuffer | null} what a script element of this page holds as base64 */
function held(id) {
  const element = document.getElementById(id);
  if (!element) return null;
  const bytes = Uint8Array.from(atob(/** @type {string} */ (element.textContent).trim()), (c) => c.charCodeAt(0));
  element.remove();
  return bytes.buffer;
}

/** @returns {Promise<{worker: Worker, files: import("../files.mjs").Source, threads: number}>} */
export async function inside() {
  const own = held("inside:worker.js");
  if (!own)
    return {
      worker: new Worker(new URL("worker.mjs", document.baseURI), { type: "module" }),
      files: { base: document.baseURI },
      threads: globalThis.crossOriginIsolated && navigator.hardwareConcurrency > 2 ? 2 : 1,
    };
  // Pages that are opened from the disk may not start module workers.
  const text = await new Response(new Blob([own]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  /** @type {Record<string, ArrayBuffer>} */
  const files = {};
  for (const element of document.querySelectorAll("script[id^='inside:']")) {
    const data = held(element.id);
    if (data) files[element.id.slice("inside:".length)] = data;
  }
  return { worker: new Worker(URL.createObjectURL(text)), files: { inside: files }, threads: 1 };
}
