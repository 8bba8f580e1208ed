// A part of the page, with its properties and what is in it.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Only what changes is written: the rest keeps its selection, and is not read aloud again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
