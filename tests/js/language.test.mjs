// The page in a second language: whole texts, patterns, parts, and what stays as it was said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const pure = load("language/pure.js");
const compiled = pure.compileTable({
  "Baseline": "基线", "photo": "图像", "Stopped.": "已停止。", "training": "训练中", "about {n} s": "约 {n} 秒",
  "Done in {seconds} s.": "完成，用时 {seconds} 秒。", "{expected} of {named}": "{expected}/{named}",
  "Probability of “{word}” here": "此处“{word}”的概率", "{title} says “{word}”": "{title}：“{word}”",
  "Measuring failed: {line}": "测量失败：{line}", "{n} tokens": "{n} 个 token", "Evidence: {word}": "证据：{word}",
  "{time} so far": "已用 {time}",
  "step {step} of {all}": "第 {step}/{all} 步", "Waiting for the model, {wait}.": "等待模型，{wait}。",
  "{label} found with score {score}": "找到 {label}，得分 {score}",
});
const say = (text) => pure.translation(compiled, text);

test("a whole text is translated, and the space around it stays", () => {
  assert.equal(say("Baseline"), "基线");
  assert.equal(say("  Stopped.\n"), "  已停止。\n");
});

test("what the table does not have, and what has no words, stays", () => {
  for (const text of ["", " ", "12.5 %", "–", "A dog on a sofa", "Baseline2", "constructor", "toString"]) {
    assert.equal(say(text), null, text);
  }
});

test("a pattern takes what stands for its names, and translates it where it is a text of the page", () => {
  assert.equal(say("Done in 3.2 s."), "完成，用时 3.2 秒。");
  assert.equal(say("Waiting for the model, about 12 s."), "等待模型，约 12 秒。");
  assert.equal(say("Baseline says “photo”"), "基线：“photo”");
});

test("what a model or a person said stays as it was said", () => {
  assert.equal(say("Probability of “photo” here"), "此处“photo”的概率");
  assert.equal(say("Evidence: photo"), "证据：photo");
  assert.equal(say("photo found with score .9"), "找到 photo，得分 .9");
  assert.equal(say("Measuring failed: $& {line} $1"), "测量失败：$& {line} $1");
});

test("a pattern with few letters of its own fits single things, not sentences", () => {
  assert.equal(say("3.1 of 9"), "3.1/9");
  assert.equal(say("10 s so far"), "已用 10 s");
  assert.equal(say("a cat of some kind"), null);
});

test("parts between dots and sentences one after the other are translated one by one", () => {
  assert.equal(say("step 3 of 9 · 5 tokens · unheard of here"), "第 3/9 步 · 5 个 token · unheard of here");
  assert.equal(say("Baseline + VDD"), "基线 + VDD"); // a stacked panel
  assert.equal(say("Stopped. Done in 2 s."), "已停止。完成，用时 2 秒。");
  assert.equal(say("Evidence: a dog · 5 tokens"), "证据：a dog · 5 个 token");
});


test("the language is the chosen one, else the first of the browser's that the page has", () => {
  assert.equal(pure.pageLanguage("en", ["zh-CN"]), "en");
  assert.equal(pure.pageLanguage(null, ["zh-Hans-CN", "en"]), "zh-CN");
  assert.equal(pure.pageLanguage(null, ["de-DE", "zh", "en"]), "zh-CN");
  assert.equal(pure.pageLanguage(null, ["en-GB", "zh-CN"]), "en");
  assert.equal(pure.pageLanguage(null, ["fr"]), "en");
});
