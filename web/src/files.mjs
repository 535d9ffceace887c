/**
 * Where the page's data come from: files beside it, or texts inside of it.
 *
 * @typedef {{base: string} | {inside: Record<string, ArrayBuffer>}} Source
 */

const PACKED = new Set(["ort.wasm"]);

/**
 * A file's bytes; packed ones are unpacked.
 * @param {Source} source
 * @param {string} name
 * @param {(share: number) => void} progress 0 to 1
 * @returns {Promise<ArrayBuffer>}
 */
export async function fetched(source, name, progress) {
  if ("inside" in source) {
    const packed = source.inside[name];
    if (!packed) throw new Error(`this page holds no ${name}; open the one that \`openhmr serve\` shows`);
    progress(1);
    return unpacked(new Blob([packed]).stream());
  }
  const packed = PACKED.has(name);
  const answer = await fetch(new URL(packed ? `${name}.gz` : name, source.base));
  if (!answer.ok || !answer.body) throw new Error(`${name} could not be loaded (${answer.status}); reload the page`);
  const total = Number(answer.headers.get("content-length")) || 0;
  let seen = 0;
  const counted = answer.body.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      seen += chunk.length;
      if (total) progress(Math.min(seen / total, 1));
      controller.enqueue(chunk);
    },
  }));
  const data = await new Response(counted).arrayBuffer();
  // Some hosts unpack what ends in .gz themselves.
  return packed && new DataView(data).getUint16(0) === 0x1f8b ? unpacked(new Blob([data]).stream()) : data;
}

/**
 * @param {ReadableStream<any>} stream gzip
 * @returns {Promise<ArrayBuffer>}
 */
export function unpacked(stream) {
  return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
