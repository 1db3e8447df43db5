// Nice lengths and numbers with units.

/** The number 1, 2 or 5 times a power of ten that is nearest below `length`. */
export function niceLength(length: number): number {
  if (!(length > 0) || !Number.isFinite(length)) return 0;
  const decade = Math.pow(10, Math.floor(Math.log10(length) + 1e-12));
  const rest = length / decade + 1e-9;
  return (rest >= 5 ? 5 : rest >= 2 ? 2 : 1) * decade;
}

const trim = (value: number): string => String(Number(value.toPrecision(6)));

/** A length with its unit as a microscopist writes it: pm, A or nm; 1/A; mrad; px. */
export function withUnit(value: number, unit: string): string {
  const size = Math.abs(value);
  if (unit === "A") {
    if (size >= 9.999) return size >= 9999 ? `${trim(value / 1e4)} µm` : `${trim(value / 10)} nm`;
    return size >= 0.9999 || size === 0 ? `${trim(value)} Å` : `${trim(value * 100)} pm`;
  }
  if (unit === "1/A") return `${trim(value)} Å⁻¹`;
  if (unit === "mrad" && size >= 1000) return `${trim(value / 1000)} rad`;
  return unit ? `${trim(value)} ${unit}` : trim(value);
}

export interface ScaleBar {
  pixels: number; // length in data pixels
  label: string;
}

/** A bar of about `fraction` of a view that shows `width` data pixels of `sampling` units each. */
export function scaleBar(width: number, sampling: number | null, unit: string, fraction = 0.34): ScaleBar | null {
  const step = sampling ?? 1;
  const length = niceLength(width * step * fraction);
  return length > 0 ? { pixels: length / step, label: withUnit(length, sampling === null ? "px" : unit) } : null;
}

/** A value in at most about seven characters. */
export function short(value: number): string {
  if (Number.isNaN(value)) return "no value";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/** A place in pixels in words: `12.3, 4` with one digit only where it is needed. */
export const place = (value: number): string => String(Math.round(value * 10) / 10);
