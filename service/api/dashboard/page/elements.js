// Builds elements, and brings those on the page up to date: only what differs is touched, so that nothing flickers and
// the focus stays where it is. Text is always text: no figure or reason is ever parsed as markup.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle", "rect"]);

/** Build an element. Names that begin with `on` are listeners, `style` sets custom properties. */
export function h(tag, attributes, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element[name] = value;
    else if (name === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make the children of an element equal to these. */
export function show(element, ...children) {
  const wanted = h("div", null, ...children);
  updateChildren(element, wanted);
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);

function updateChildren(element, wanted) {
  const keyed = new Map();
  for (const child of element.childNodes) if (keyOf(child) !== null) keyed.set(keyOf(child), child);
  let place = element.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = keyOf(next);
    let current = key === null ? place : keyed.get(key) ?? null;
    if (current && !isSame(current, next)) current = null;
    if (key === null && current && keyOf(current) !== null) current = null;
    if (current === null) {
      element.insertBefore(next, place);
      continue;
    }
    if (current !== place) element.insertBefore(current, place);
    update(current, next);
    place = current.nextSibling;
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function isSame(current, next) {
  return current.nodeType === next.nodeType && current.nodeName === next.nodeName;
}

const LISTENERS = ["onclick", "onchange", "onsubmit", "onkeydown", "ontoggle", "oninput"];

function update(current, next) {
  if (current.nodeType === Node.TEXT_NODE) {
    if (current.data !== next.data) current.data = next.data;
    return;
  }
  if (current.hasAttribute("data-own")) return; // it keeps its own contents, as a chart does
  for (const { name } of [...current.attributes]) {
    if (name !== "style" && !next.hasAttribute(name) && !(name === "open" && current.nodeName === "DETAILS")) current.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name !== "style" && current.getAttribute(name) !== value) current.setAttribute(name, value);
  }
  if (current.style.cssText !== next.style.cssText) current.style.cssText = next.style.cssText;
  for (const listener of LISTENERS) current[listener] = next[listener];
  updateChildren(current, next);
  if (current.nodeName === "SELECT" && document.activeElement !== current) {
    const chosen = [...next.options].findIndex((option) => option.hasAttribute("selected"));
    current.selectedIndex = Math.max(0, chosen);
  }
}
