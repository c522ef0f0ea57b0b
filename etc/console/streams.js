// The streams of this node: where each comes from, what it is made of, who watches.

import { Sparkline } from './chart.js';
import { $, Table, h, setText } from './dom.js';
import { audio, count, duration, rate, shortName, video } from './format.js';

const nameOf = stream => shortName(stream.stream_key);

// [where it comes from, along which route]
function source({ source, upstream }) {
  if (source === 'publisher') return ['published here', upstream && `relayed to ${upstream}`];
  if (source === 'upstream') return ['pulled', `from ${upstream}`];
  return upstream ? ['relayed', `from ${upstream}`] : ['waiting', ''];
}

const protocols = stream => Object.entries(stream.viewers_by_protocol).map(([name, number]) => `${count(number)} ${name}`).join(' · ');

export class Streams {
  #sparks = new Map();
  #all = [];
  #total = 0;
  #fresh = false;
  #table;

  // play(stream), clients(stream): what the buttons do.
  constructor({ play, clients }) {
    const two = (first, second) => (cell, row) => cell.replaceChildren(h('div', {}, first(row)), h('div.sub', {}, second(row)));
    this.#table = new Table($('streams-table'), {
      caption: 'Streams of this node',
      key: stream => stream.id,
      order: { name: 'viewers', down: true },
      empty: 'No stream here. Publish one, or play one, and it appears.',
      columns: [
        { name: 'name', label: 'Stream', sort: nameOf, value: nameOf,
          fill: (cell, stream) => {
            const name = nameOf(stream);
            const cut = name.lastIndexOf('/') + 1;
            cell.replaceChildren(h('span.sub', {}, name.slice(0, cut)), h('b', {}, name.slice(cut)));
          } },
        { name: 'source', label: 'Source', sort: s => source(s).join(), value: s => source(s).join(),
          fill: two(s => source(s)[0], s => source(s)[1]) },
        { name: 'codec', label: 'Codecs', value: s => `${video(s.video)}|${audio(s.audio)}`,
          fill: two(s => video(s.video) || '–', s => audio(s.audio)) },
        { name: 'bitrate', label: 'Bit rate', number: true, sort: s => s.bitrate_kbps, value: () => performance.now(),
          fill: (cell, stream) => this.#bitrate(cell, stream) },
        { name: 'viewers', label: 'Viewers', number: true, sort: s => s.viewers, value: s => `${s.viewers}|${protocols(s)}`,
          fill: (cell, stream) => cell.replaceChildren(
            h('button.link', { type: 'button', title: 'Show its clients', onclick: () => clients(stream) }, count(stream.viewers)),
            h('div.sub', {}, protocols(stream))) },
        { name: 'age', label: 'Age', number: true, sort: s => s.age, value: s => duration(s.age) },
        { name: 'actions', value: () => 'once',
          fill: (cell, stream) => cell.replaceChildren(
            h('button.quiet.play', { type: 'button', 'aria-label': `Play ${nameOf(stream)}`, onclick: () => play(stream) }, 'Play')) },
      ],
    });
    $('streams-filter').addEventListener('input', () => this.#draw());
  }

  #bitrate(cell, stream) {
    let spark = this.#sparks.get(stream.id);
    if (!spark || spark.cell !== cell) {
      spark = { cell, text: h('span'), line: null };
      cell.replaceChildren(spark.text);
      spark.line = new Sparkline(cell, { most: 60, width: 72, height: 20 });
      this.#sparks.set(stream.id, spark);
    }
    setText(spark.text, rate(stream.bitrate_kbps));
    if (this.#fresh) spark.line.add(stream.bitrate_kbps);
  }

  show(streams, total) {
    this.#all = streams;
    this.#total = total;
    const here = new Set(streams.map(stream => stream.id));
    for (const id of this.#sparks.keys()) if (!here.has(id)) this.#sparks.delete(id);
    this.#fresh = true;
    this.#draw();
    this.#fresh = false;
  }

  #draw() {
    const wanted = $('streams-filter').value.trim().toLowerCase();
    const shown = wanted ? this.#all.filter(stream => stream.stream_key.toLowerCase().includes(wanted)) : this.#all;
    setText($('streams-count'), this.#all.length < this.#total ? `${count(shown.length)} of ${count(this.#total)}` : count(shown.length));
    this.#table.show(shown);
  }
}
