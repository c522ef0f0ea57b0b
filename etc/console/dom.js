// Elements, and tables that change in place: a row keeps its element, its focus and its hover while its numbers move.

const SVG = 'http://www.w3.org/2000/svg';

export const $ = id => document.getElementById(id);

// h('td.number', {title: 'x', onclick: f}, 'text', child)
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split('.');
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(' ');
  assign(element, attributes);
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  assign(element, attributes);
  element.append(...children);
  return element;
}

function assign(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A <dl> of {name: text}, always with the same names: its elements are made once and change in place.
export function setFacts(place, facts) {
  const entries = Object.entries(facts);
  if (place.children.length === 0) place.append(...entries.map(([name]) => h('div', {}, h('dt', {}, name), h('dd'))));
  entries.forEach(([, text], at) => setText(place.children[at].lastChild, text));
}

// A dot and a word; `kind` is the class of the dot: good, warm or bad.
export const stateMark = (kind, word) => h('span.state', {}, h(`i.dot.${kind}`, { 'aria-hidden': 'true' }), word);

// Columns: {name, label, number, value(row), sort, fill(cell, row)}. `value` is what is shown unless fill() draws, and
// what fill() is called for again when it has changed; `sort(row)` makes the heading a button.
export class Table {
  #columns;
  #key;
  #body = h('tbody');
  #rows = new Map();
  #empty;
  #order;
  #data = [];
  #headings = new Map();

  constructor(place, { caption, columns, key, order = null, empty = 'None.' }) {
    this.#columns = columns;
    this.#key = key;
    this.#order = order;
    const head = h('tr', {}, ...columns.map(column => this.#heading(column)));
    this.#empty = h('p.empty', {}, empty);
    place.append(h('div.scroll', {}, h('table', {}, h('caption.hidden', {}, caption), h('thead', {}, head), this.#body)), this.#empty);
    this.#mark();
  }

  #heading(column) {
    const cell = h(column.number ? 'th.number' : 'th', { scope: 'col' });
    if (!column.sort) {
      cell.append(column.label ? column.label : h('span.hidden', {}, column.name));
    } else {
      cell.append(h('button', { type: 'button', onclick: () => this.#sortBy(column) }, column.label));
      this.#headings.set(column.name, cell);
    }
    return cell;
  }

  #sortBy(column) {
    const down = this.#order?.name === column.name ? !this.#order.down : Boolean(column.number);
    this.#order = { name: column.name, down };
    this.#mark();
    this.show(this.#data);
  }

  #mark() {
    for (const [name, cell] of this.#headings) {
      if (this.#order?.name === name) cell.setAttribute('aria-sort', this.#order.down ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    }
  }

  #sorted(data) {
    const column = this.#columns.find(each => each.name === this.#order?.name);
    if (!column) return data;
    const sign = this.#order.down ? -1 : 1;
    return data
      .map(row => [column.sort(row), row])
      .sort(([a], [b]) => sign * (typeof a === 'number' ? a - b : String(a).localeCompare(String(b))))
      .map(([, row]) => row);
  }

  show(data) {
    this.#data = data;
    const seen = new Set();
    let before = null;
    for (const row of this.#sorted(data)) {
      const key = this.#key(row);
      seen.add(key);
      let entry = this.#rows.get(key);
      if (!entry) {
        const cells = this.#columns.map(column =>
          h(column.number ? 'td.number' : 'td', { 'data-label': column.label || null, 'data-name': column.name }));
        entry = { element: h('tr', { 'data-key': key }, ...cells), cells, shown: [] };
        this.#rows.set(key, entry);
      }
      this.#fill(entry, row);
      const next = before ? before.nextSibling : this.#body.firstChild;
      if (next !== entry.element) this.#body.insertBefore(entry.element, next);
      before = entry.element;
    }
    for (const [key, entry] of this.#rows) {
      if (seen.has(key)) continue;
      entry.element.remove();
      this.#rows.delete(key);
    }
    this.#empty.hidden = data.length > 0;
  }

  #fill(entry, row) {
    this.#columns.forEach((column, at) => {
      const value = column.value ? column.value(row) : '';
      if (entry.shown[at] === value) return;
      entry.shown[at] = value;
      if (column.fill) column.fill(entry.cells[at], row);
      else entry.cells[at].textContent = value;
    });
  }
}

// Asks; true when the answer is yes.
export function confirmed(title, text, yes) {
  const dialog = $('confirm');
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text;
  $('confirm-yes').textContent = yes;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true }));
}

let toastTimer = 0;
export function toast(text, bad = false) {
  const element = $('toast');
  element.textContent = text;
  element.classList.toggle('bad', bad);
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { element.hidden = true; }, 5000);
}
