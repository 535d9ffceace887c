/**
 * The lens that a JPEG's EXIF data tell: FocalLengthIn35mmFilm (CIPA DC-008).
 */

const [EXIF_IFD, FOCAL_35MM] = [0x8769, 0xa405];
const FILM_DIAGONAL_MM = Math.hypot(36, 24);
const LIMITS_MM = [8, 1200];

/**
 * Focal length in pixels of a picture of this size; null where its file does not tell.
 * @param {ArrayBuffer} file its beginning is enough
 * @param {number} width
 * @param {number} height
 * @returns {number | null}
 */
export function focalOf(file, width, height) {
  try {
    const mm = focal35(new DataView(file));
    if (!mm || mm < LIMITS_MM[0] || mm > LIMITS_MM[1]) return null;
    return (mm * Math.hypot(width, height)) / FILM_DIAGONAL_MM;
  } catch {
    return null; // damaged data are only a hint
  }
}

/**
 * @param {DataView} view
 * @returns {number | null}
 */
function focal35(view) {
  if (view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 10 < view.byteLength && view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
    if (view.getUint8(at + 1) !== 0xe1 || view.getUint32(at + 4) !== 0x45786966) continue;
    const tiff = at + 10;
    const little = view.getUint16(tiff) === 0x4949;
    const inner = entry(view, tiff, view.getUint32(tiff + 4, little), EXIF_IFD, little, 4);
    return inner === null ? null : entry(view, tiff, inner, FOCAL_35MM, little, 2);
  }
  return null;
}

/**
 * @param {DataView} view
 * @param {number} tiff
 * @param {number} directory
 * @param {number} tag
 * @param {boolean} little
 * @param {2 | 4} bytes
 * @returns {number | null}
 */
function entry(view, tiff, directory, tag, little, bytes) {
  const count = view.getUint16(tiff + directory, little);
  for (let i = 0; i < count; i++) {
    const at = tiff + directory + 2 + 12 * i;
    if (view.getUint16(at, little) === tag)
      return bytes === 4 ? view.getUint32(at + 8, little) : view.getUint16(at + 8, little);
  }
  return null;
}
