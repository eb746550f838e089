"use strict";
// What both components share. Text from models, photos and people enters the page through textContent only.
const SVG = "http://www.w3.org/2000/svg";
const find = (selector) => element.querySelector(selector);

// A text of a component's table with what its {names} stand for.
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Like `make`, for what a model, a person or a file said: it stays as it is in every language of the page.
function quote(tag, className, text) {
  const node = make(tag, className, text);
  node.translate = false;
  return node;
}
