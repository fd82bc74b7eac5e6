// Functions that make elements. Text always becomes a text node, so a device cannot inject markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 * Attributes by name; `on` is a map of listeners, `data` of data-attributes, `prop` of properties;
 * false and null leave an attribute out. Children are nodes, text, or lists of them.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element, in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else if (name === "prop") Object.assign(element, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(9).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace the children of an element. */
export function put(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

let ids = 0;

/** Return an id that no other element has. */
export function uid(prefix) {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** A labelled form field. `make(id, described)` returns the input. */
export function field(label, make, hint) {
  const id = uid("field");
  const hintId = hint ? `${id}-hint` : null;
  return h("div", { class: "field" },
    h("label", { for: id }, label),
    make({ id, "aria-describedby": hintId }),
    hint ? h("span", { class: "hint", id: hintId }, hint) : null);
}

/** Give an input the attributes that its label needs. */
export function set(input, attributes) {
  for (const [name, text] of Object.entries(attributes)) if (text) input.setAttribute(name, text);
  return input;
}

let timer = 0;

/** Show a message for some seconds; screen readers read it too. */
export function announce(text) {
  const status = document.getElementById("status");
  status.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { status.textContent = ""; }, 6000);
}

/** Ask the user to confirm something that cannot be undone; resolves to true or false. */
export function confirm({ title, text, yes, no }) {
  return new Promise((resolve) => {
    const titleId = uid("dialog");
    const dialog = h("dialog", { "aria-labelledby": titleId },
      h("h2", { id: titleId }, title),
      h("p", {}, text),
      h("div", { class: "row" },
        h("button", { type: "button", on: { click: () => dialog.close("no") } }, no),
        h("button", { type: "button", class: "danger", data: { role: "confirm" }, on: { click: () => dialog.close("yes") } }, yes)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

const PATHS = {
  play: "M8 5v14l11-7z",
  resume: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zm6 0h4v14h-4z",
  stop: "M6 6h12v12H6z",
  previous: "M6 5h3v14H6zm13 0v14l-9-7z",
  next: "M15 5h3v14h-3zM5 5l9 7-9 7z",
  remove: "M6.400 5L12 10.600 17.600 5 19 6.400 13.400 12 19 17.600 17.600 19 12 13.400 6.400 19 5 17.600 10.600 12 5 6.400z",
  me: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 20c0-4 3.600-6 8-6s8 2 8 6z",
  "theme-auto": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2v14a7 7 0 0 1 0-14z",
  "theme-light": "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 2h2v4h-2zm0 16h2v4h-2zM2 11h4v2H2zm16 0h4v2h-4zM4.200 5.600l1.400-1.400 2.800 2.800L7 8.400zM15.600 17l1.400-1.400 2.800 2.800-1.400 1.400zM4.200 18.400L7 15.600 8.400 17l-2.800 2.800zM15.600 7l2.800-2.800 1.400 1.400L17 8.400z",
  "theme-dark": "M14 3a9 9 0 1 0 7 14.500A9 9 0 0 1 14 3z",
  restart: "M12 5V1.500L6.500 6.500 12 11.500V8a5 5 0 1 1-5 5H4a8 8 0 1 0 8-8z",
};

/** An icon for a button, whose label says what it means. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** The product's logo. */
export function mark() {
  return svg("svg", { viewBox: "0 0 32 32", "aria-hidden": "true" },
    svg("rect", { width: 32, height: 32, rx: 8, fill: "#0b6e63" }),
    svg("path", { d: "M8 13v6M12.500 9.500v13M17 12v8M21.500 7.500v17M26 13v6", fill: "none", stroke: "#fff", "stroke-width": 2.6, "stroke-linecap": "round" }));
}
