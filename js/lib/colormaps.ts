// Colour maps as equally spaced stops, six hexadecimal digits each, interpolated to 256 entries.
// ptywidgets/widgets/image/colormaps.py holds the same table (a test compares them), so that a saved PNG has the colours of
// the screen. `phase` is a wheel of nearly constant lightness (OKLCH, C = 0.12): L rises by 0.05 from the red towards the
// green side, which readers who do not tell red from green can see; phase 0 is orange, +-pi is blue.
export const STOPS: Readonly<Record<string, string>> = {
  gray: "000000ffffff",
  magma: "0000040303120a0822130d341e11492a115c38106c45107754137d6018806d1d81792282882781942c80a1307eae347bbd3977ca3e72d6456ce24d66ec5860f3655cf8745cfb835ffd9467fea36ffeb27afec185fed194fde0a1fceeb0fcfdbf",
  inferno: "0000040403120b0724150b37230c4c310a5c3e09664c0c6b5a116e67166e741a6e801f6c8f24699b2964a82e5fb43359c13a50cc4248d74b3fe05536e9612bef6e21f57b17f8890cfb9906fca80dfbb81df9c72ff5d949f2e865f3f586fcffa4",
  viridis: "440154470d6048186a482374472e7c4538824241863e4a893a548c365d8d32658e2e6d8e2b758e287d8e25848e228c8d1f948c1e9c8920a38625ab822eb37c3aba7648c16e58c7656ccd5a7fd34e93d741a8db34c0df25d5e21aeae51afde725",
  cividis: "00224e00285b002e6a0533711c396f293f6e33446d3c4a6c45506c4d556c555b6d5c616e6467706b6d72727274787877807f78888578908b78979177a09875a89e73b0a571b9ab6dc2b369cbb965d3c05fdcc859e6d051efd748f8df3cfee838",
  RdBu: "0530610e41791752901f63a82b73b33681ba408fc1569fc971b0d38ac0dba0cce2b3d6e8cae1eed8e9f1e4eef4f0f4f6f8f2effae9dffce0d0fcd5bff9c2a7f6b191f19e7de8896cdd7059d35a4ac84440bd2d35ae172a960f277f082367001f",
  turbo: "30123b392a734040a24456c7476ee64682f84196ff35abf825c0e71ad2d218e0bd22ebaa3cf58e59fb7379fe5996fe44affa37c3f134d7e535e7d739f5c53afcb336fe9e2ffc8725f66c19ed5510e2430ad43305c12302ac1701950d017a0403",
  phase: "49c8ec58c2f369baf879b2fa89a9f897a1f3a498ecb090e2ba89d6c383c8cb7fb9d27ca9d77a99db7b89dd7d7ade816bdd875eda8e52d6964acfa046c6a948bbb250aebb5d9fc36c8fc97d7dce906ad2a257d3b448d3c53ed1d43fcee149c8ec",
};

export const DIVERGING: ReadonlySet<string> = new Set(["RdBu"]);
export const CYCLIC: ReadonlySet<string> = new Set(["phase"]);

/** 256 colours `[r, g, b, r, g, b, ...]`; a cyclic map does not repeat its first colour at the end. */
export function table(name: string): Uint8Array {
  const hex = STOPS[name] ?? STOPS.gray;
  const stops = hex.length / 6;
  const channel = (stop: number, c: number) => parseInt(hex.slice(stop * 6 + c * 2, stop * 6 + c * 2 + 2), 16);
  const rgb = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const t = (i / (CYCLIC.has(name) ? 256 : 255)) * (stops - 1);
    const k = Math.min(Math.floor(t), stops - 2);
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = Math.floor(channel(k, c) * (1 - (t - k)) + channel(k + 1, c) * (t - k) + 0.5);
  }
  return rgb;
}

const cache = new Map<string, Uint32Array>();

/** 256 opaque colours, one 32-bit word each in the byte order of `ImageData` on little-endian machines. */
export function lookup(name: string): Uint32Array {
  let words = cache.get(name);
  if (!words) {
    const rgb = table(name);
    words = new Uint32Array(256);
    for (let i = 0; i < 256; i++) words[i] = pack(rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2]);
    cache.set(name, words);
  }
  return words;
}

export const pack = (r: number, g: number, b: number): number => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
