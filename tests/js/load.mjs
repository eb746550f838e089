// Loads the functions of a plain script: the page concatenates these files, so they export nothing.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const NAMES = /^(?:function|const|let) (\w+)/gm;

export function load(...paths) {
  const read = (path) => readFileSync(new URL("../../halluapp/ui/" + path, import.meta.url), "utf8");
  const source = paths.map(read).join("\n");
  const names = [...source.matchAll(NAMES)].map((match) => match[1]);
  const code = "(function () {" + source + "\nreturn { " + names.join(", ") + " };\n})()";
  return vm.runInThisContext(code, paths[paths.length - 1]);
}
