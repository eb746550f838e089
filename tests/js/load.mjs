// Loads the functions of a plain script: the page concatenates these files, so they export nothing.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const NAMES = /^(?:function|const|let) (\w+)/gm;

export function load(path) {
  const source = readFileSync(new URL("../../halluapp/ui/" + path, import.meta.url), "utf8");
  const names = [...source.matchAll(NAMES)].map((match) => match[1]);
  return vm.runInThisContext("(function () {" + source + "\nreturn { " + names.join(", ") + " };\n})()", path);
}
