// One ES module per file in widgets/, and one style sheet from all of lib/*.css, into the Python package.
import { readdirSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "ptywidgets", "static");
const BUDGET = 60_000; // bytes of JavaScript in all: every widget instance carries its bundle in its state
mkdirSync(out, { recursive: true });

const widgets = readdirSync(join(here, "widgets")).filter((name) => name.endsWith(".ts")).sort();
const common = { bundle: true, minify: true, legalComments: "none", absWorkingDir: here, charset: "utf8", logLevel: "warning" };
await build({ ...common, entryPoints: widgets.map((name) => `widgets/${name}`), outdir: out, format: "esm", target: "es2020" });

const sheets = readdirSync(join(here, "lib")).filter((name) => name.endsWith(".css")).sort();
const contents = sheets.map((name) => `@import "./${name}";`).join("\n");
await build({ ...common, stdin: { contents, loader: "css", resolveDir: join(here, "lib") }, outfile: join(out, "ptywidgets.css"), target: "chrome100" });

let total = 0;
for (const name of readdirSync(out).sort()) {
  const { size } = statSync(join(out, name));
  if (name.endsWith(".js")) total += size;
  console.log(`${name}  ${size} bytes`);
}
if (total > BUDGET) throw new Error(`the bundles have ${total} bytes, the budget is ${BUDGET}`);
