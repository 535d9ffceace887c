/**
 * Pictures as their files have them: no colour management, turned upright, and the lens that EXIF data tell.
 */

import { focalOf } from "./exif.mjs";

const EXIF_BYTES = 200_000;
const MOST_PX = 50_000_000;

/** @param {File} file @returns {"picture" | "film" | "pose" | null} */
export function kindOf(file) {
  if (file.type.startsWith("image/")) return "picture";
  if (file.type.startsWith("video/")) return "film";
  return file.type === "application/json" || file.name.endsWith(".json") ? "pose" : null;
}

/**
 * @param {Blob} file
 * @returns {Promise<{image: ImageData, focal_px: number | null}>}
 */
export async function decoded(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  } catch {
    throw new Error("this picture cannot be read; JPEG, PNG and WebP are");
  }
  if (bitmap.width * bitmap.height > MOST_PX) throw new Error("this picture has more than 50 megapixels; make it smaller");
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.fillStyle = "white"; // transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const focal_px = focalOf(await file.slice(0, EXIF_BYTES).arrayBuffer(), canvas.width, canvas.height);
  return { image: context.getImageData(0, 0, canvas.width, canvas.height), focal_px };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ImageData} image
 */
export function drawn(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}
