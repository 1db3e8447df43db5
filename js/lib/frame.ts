// A frame is one image as it came over the wire: small integers (or floats) and the two numbers that give them a value.

export type Codes = Uint8Array | Uint16Array | Float32Array;

export interface Header {
  seq: number;
  shape: readonly [number, number]; // rows, columns of the buffer
  full?: readonly [number, number]; // rows, columns of the image it stands for, where it was reduced
  dtype: string;
  kind?: string; // "scalar" or "complex": an amplitude plane, then a phase plane
  lo: number; // value of the lowest code
  hi: number; // value of the highest code
  missing?: boolean; // code 0 means "no value here"
  fixed?: boolean; // lo and hi are what the sender wants as the limits of contrast
}

export interface Frame {
  readonly seq: number;
  readonly complex: boolean;
  readonly height: number;
  readonly width: number;
  readonly full: readonly [number, number];
  readonly codes: Codes;
  readonly phase: Uint8Array | null; // 256 steps from -pi
  readonly lo: number;
  readonly hi: number;
  readonly missing: boolean;
  readonly fixed: boolean;
}

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array } as const;

/** Bytes of whatever a host hands over: JupyterLab gives a DataView, Colab a Uint8Array, others an ArrayBuffer. */
export function asBytes(data: unknown): Uint8Array {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  if (data && Object.prototype.toString.call(data) === "[object ArrayBuffer]") return new Uint8Array(data as ArrayBuffer);
  return new Uint8Array(0);
}

/** The frame that a header and its bytes describe; throws an Error that says where they do not agree. */
export function decode(header: Header, data: unknown): Frame {
  const [height, width] = header.shape ?? [0, 0];
  const type = TYPES[header.dtype as keyof typeof TYPES];
  if (!type) throw new Error(`Image ${header.seq} has data of type ${header.dtype}; known are uint8, uint16, float32.`);
  if (!(height > 0 && width > 0)) throw new Error(`Image ${header.seq} is empty (${height} x ${width} px).`);
  const complex = header.kind === "complex";
  const bytes = asBytes(data);
  const plane = height * width * type.BYTES_PER_ELEMENT;
  const expected = complex ? plane + height * width : plane;
  if (bytes.byteLength !== expected) {
    throw new Error(`Image ${header.seq} has ${bytes.byteLength} bytes; ${height} x ${width} px need ${expected}.`);
  }
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return {
    seq: header.seq,
    complex,
    height,
    width,
    full: header.full ?? [height, width],
    codes: new type(aligned.buffer as ArrayBuffer, aligned.byteOffset, height * width),
    phase: complex ? aligned.subarray(plane) : null,
    lo: Number(header.lo),
    hi: Number(header.hi),
    missing: Boolean(header.missing),
    fixed: Boolean(header.fixed),
  };
}

/** Number of steps between the lowest and the highest code; 0 for floats, which are values already. */
export function steps(frame: Frame): number {
  if (frame.codes instanceof Float32Array) return 0;
  return (frame.codes instanceof Uint8Array ? 255 : 65535) - (frame.missing ? 1 : 0);
}

/** Value that code `code` stands for; NaN where there is none. */
export function codeValue(frame: Frame, code: number): number {
  const count = steps(frame);
  if (count === 0) return code;
  const first = frame.missing ? 1 : 0;
  return code < first ? NaN : frame.lo + ((code - first) / count) * (frame.hi - frame.lo);
}

/** Value at a place in pixels of the full image (fractional; pixel centres at integers), or NaN outside. */
export function valueAt(frame: Frame, y: number, x: number): number {
  const i = indexAt(frame, y, x);
  return i < 0 ? NaN : codeValue(frame, frame.codes[i]);
}

/** Phase in rad at a place of a complex image. */
export function phaseAt(frame: Frame, y: number, x: number): number {
  const i = indexAt(frame, y, x);
  return i < 0 || !frame.phase ? NaN : -Math.PI + (frame.phase[i] / 256) * 2 * Math.PI;
}

function indexAt(frame: Frame, y: number, x: number): number {
  const row = Math.floor(((y + 0.5) / frame.full[0]) * frame.height);
  const column = Math.floor(((x + 0.5) / frame.full[1]) * frame.width);
  return row < 0 || column < 0 || row >= frame.height || column >= frame.width ? -1 : row * frame.width + column;
}
