// Lines over time in SVG: a sparkline for a tile or a cell, and a chart of an hour with axes and a pointer.

import { h, svg } from './dom.js';
import { clock, clockSeconds } from './format.js';

// Keeps the newest `most` numbers and draws them.
export class Sparkline {
  #most;
  #values = [];
  #line = svg('polyline');
  #area = svg('polygon');

  constructor(place, { most = 60, width = 120, height = 28 } = {}) {
    this.#most = most;
    this.width = width;
    this.height = height;
    place.append(svg('svg', { class: 'spark', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.#area, this.#line));
  }

  add(value) {
    this.#values.push(value);
    if (this.#values.length > this.#most) this.#values.shift();
    if (this.#values.length < 2) return;
    const [low, high] = [Math.min(...this.#values), Math.max(...this.#values)];
    // A line that hardly moves runs through the middle.
    const span = Math.max(high - low, high * 0.25, 1e-9);
    const floor = (low + high - span) / 2;
    const step = this.width / (this.#values.length - 1);
    const points = this.#values.map((each, at) =>
      `${(at * step).toFixed(1)},${(this.height - 2 - ((each - floor) / span) * (this.height - 5)).toFixed(1)}`);
    this.#line.setAttribute('points', points.join(' '));
    this.#area.setAttribute('points', `0,${this.height} ${points.join(' ')} ${this.width},${this.height}`);
  }
}

const HOUR = 3_600_000;
const LEAST = 300_000;
const MARGIN = { left: 56, right: 8, top: 10, bottom: 22 };
const HEIGHT = 190;

// The next of 1, 2, 5, 10, 20, 50, ... that is not less.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find(each => each * power >= value * 0.9999) * power;
}

export class Chart {
  #place;
  #series;
  #format;
  #points = [];
  #svg = svg('svg', { class: 'lines', role: 'img' });
  #tip = h('div.tip', { hidden: true });
  #pointer = null;

  // `series`: [{name, key, label, area}]; points are objects with `at` in ms and a number for each key.
  constructor(place, legend, { series, format, name }) {
    this.#place = place;
    this.#series = series;
    this.#format = format;
    this.name = name;
    for (const each of series) legend.append(h(`span.key.${each.name}`, {}, each.label));
    place.append(h('div.plot', {}, this.#svg, this.#tip));
    this.#svg.addEventListener('pointermove', event => this.#point(event.offsetX));
    this.#svg.addEventListener('pointerleave', () => this.#point(null));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  show(points) {
    this.#points = points;
    this.draw();
  }

  draw() {
    const width = this.#svg.clientWidth;
    if (width === 0 || this.#points.length === 0) return;
    const last = this.#points.at(-1).at;
    const span = Math.min(HOUR, Math.max(LEAST, last - this.#points[0].at));
    const inside = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
    const shown = this.#points.filter(point => point.at >= last - span);
    const most = Math.max(1, ...shown.flatMap(point => this.#series.map(each => point[each.key])));
    const step = Math.max(1, round(most / 3));
    const top = step * Math.ceil(most / step);
    const x = at => MARGIN.left + inside.width * (1 - (last - at) / span);
    const y = value => MARGIN.top + inside.height * (1 - value / top);

    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute('aria-label', this.#summary(shown.at(-1), last - span));
    this.#svg.replaceChildren(...this.#grid(top, step, y, width), ...this.#times(last, span, x),
      ...this.#series.flatMap(each => this.#line(each, shown, x, y)));
    this.#scale = { x, y, shown };
    this.#point(this.#pointer);
  }

  #scale = null;

  #summary(newest, since) {
    const values = this.#series.map(each => `${each.label} ${this.#format(newest[each.key])}`);
    return `${this.name} since ${clock(since)}: ${values.join(', ')}`;
  }

  #grid(top, step, y, width) {
    const lines = [];
    for (let value = 0; value <= top * 1.001; value += step) {
      lines.push(svg('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
      const label = svg('text', { class: 'axis', x: MARGIN.left - 8, y: y(value) + 3.5, 'text-anchor': 'end' });
      label.textContent = this.#format(value).replace(/\.0+(?= )/, '');
      lines.push(label);
    }
    return lines;
  }

  #times(last, span, x) {
    const minutes = [1, 2, 5, 10, 15].find(each => span / (each * 60_000) <= 6) ?? 15;
    const every = minutes * 60_000;
    const labels = [];
    for (let at = Math.ceil((last - span) / every) * every; at <= last; at += every) {
      if (x(at) < MARGIN.left + 12 || x(at) > x(last) - 12) continue;
      const label = svg('text', { class: 'axis', x: x(at), y: HEIGHT - 5, 'text-anchor': 'middle' });
      label.textContent = clock(at);
      labels.push(label);
    }
    return labels;
  }

  #line(each, shown, x, y) {
    const points = shown.map(point => `${x(point.at).toFixed(1)},${y(point[each.key]).toFixed(1)}`);
    const line = svg('polyline', { class: `line ${each.name}`, points: points.join(' ') });
    if (!each.area) return [line];
    const floor = y(0).toFixed(1);
    const area = `${x(shown[0].at).toFixed(1)},${floor} ${points.join(' ')} ${x(shown.at(-1).at).toFixed(1)},${floor}`;
    return [svg('polygon', { class: `area ${each.name}`, points: area }), line];
  }

  #point(offset) {
    this.#pointer = offset;
    this.#svg.querySelectorAll('.pointer').forEach(each => each.remove());
    this.#tip.hidden = offset === null || !this.#scale;
    if (this.#tip.hidden) return;
    const { x, y, shown } = this.#scale;
    const near = shown.reduce((best, point) => (Math.abs(x(point.at) - offset) < Math.abs(x(best.at) - offset) ? point : best));
    const at = x(near.at);
    this.#svg.append(svg('line', { class: 'pointer', x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      ...this.#series.map(each => svg('circle', { class: `pointer ${each.name}`, cx: at, cy: y(near[each.key]), r: 3.5 })));
    this.#tip.replaceChildren(h('b', {}, clockSeconds(near.at)),
      ...this.#series.map(each => h('span', {}, `${each.label} ${this.#format(near[each.key])}`)));
    const left = Math.min(Math.max(at - this.#tip.offsetWidth / 2, 0), this.#svg.clientWidth - this.#tip.offsetWidth);
    this.#tip.style.left = `${left}px`;
  }
}
