/**
 * The page's end of `transfer.py`: arguments in, results out, arrays as bytes instead of JSON.
 *
 * Python imports this module into the page for each call, from the page's own origin, so that it
 * works under a Content-Security-Policy without `unsafe-eval`.
 */

const ALIGNMENT = 8;

/** @type {Record<string, any>} */
const ARRAYS = {
  float16: globalThis.Float16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
};

/**
 * Calls a function; what it returns or throws is given back as base64, or if it is large posted to
 * `outbox` and null given back.
 *
 * @param {{ packet: string | null, inbox: string, outbox: string, inline: number }} order the
 *   arguments as base64, or null if they lie at `inbox`; the size up to which a result is inline
 * @param {(...args: any[]) => any} body
 * @returns {Promise<string | null>}
 */
export async function call({ packet, inbox, outbox, inline }, body) {
  const sent = packet === null ? await (await fetch(inbox)).arrayBuffer() : fromBase64(packet);
  const reply = await answer(body, unpack(sent));
  if (reply.size <= inline) return toBase64(await reply.arrayBuffer());
  await fetch(outbox, { method: 'POST', body: reply });
  return null;
}

/**
 * @param {(...args: any[]) => any} body
 * @param {any[]} args
 * @returns {Promise<Blob>}
 */
async function answer(body, args) {
  try {
    return pack({ value: (await body(...args)) ?? null });
  } catch (error) {
    return pack({ error: describe(error) });
  }
}

/** @param {any} error */
function describe(error) {
  const { name, message, code, stack } = Object(error);
  return {
    name: String(name ?? 'Error'),
    message: String(message ?? error),
    code: typeof code === 'string' ? code : null,
    stack: String(stack ?? ''),
  };
}

/**
 * @param {ArrayBuffer} packet
 * @returns {any}
 */
export function unpack(packet) {
  const length = new DataView(packet).getUint32(0, true);
  const start = aligned(4 + length);
  const text = new TextDecoder().decode(new Uint8Array(packet, 4, length));
  return JSON.parse(text, (_key, value) => {
    if (value?.$number !== undefined) return Number(value.$number);
    if (value?.$array === undefined) return value;
    const [dtype, offset, count] = value.$array;
    const bytes = count * ARRAYS[dtype].BYTES_PER_ELEMENT;
    return new ARRAYS[dtype](packet.slice(start + offset, start + offset + bytes));
  });
}

/**
 * @param {any} value
 * @returns {Blob}
 */
export function pack(value) {
  /** @type {BlobPart[]} */
  const chunks = [];
  let size = 0;
  const text = JSON.stringify(value, (_key, item) => {
    if (typeof item === 'number' && !Number.isFinite(item)) return { $number: String(item) };
    if (!ArrayBuffer.isView(item)) return item;
    const { dtype, bytes, count } = plain(item);
    const entry = { $array: [dtype, size, count] };
    chunks.push(bytes, new Uint8Array(aligned(bytes.length) - bytes.length));
    size += aligned(bytes.length);
    return entry;
  });
  const head = new TextEncoder().encode(text);
  const padding = new Uint8Array(aligned(4 + head.length) - 4 - head.length);
  return new Blob([Uint32Array.of(head.length), head, padding, ...chunks]);
}

/**
 * Gives a view's name and a copy of its bytes: a Blob refuses views of shared memory.
 *
 * @param {any} view
 */
function plain(view) {
  const name = Object.keys(ARRAYS).find((key) => ARRAYS[key] === view.constructor);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  return { dtype: name ?? 'uint8', bytes, count: name ? view.length : bytes.length };
}

/** @param {number} size */
function aligned(size) {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

/** @param {string} text */
function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** @param {ArrayBuffer} buffer */
function toBase64(buffer) {
  return btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(''));
}
