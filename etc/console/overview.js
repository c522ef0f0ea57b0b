// The node at a glance: tiles with the last minute, an hour of traffic and viewers, its loops.

import { Chart, Sparkline } from './chart.js';
import { $, h, setFacts, setText } from './dom.js';
import { busiest, count, duration, memoryParts, percent, rate, rateParts } from './format.js';

const MOST = 3600;
const BUSY = 0.9;

const TILES = [
  { name: 'viewers', label: 'Viewers', parts: s => [count(s.weir.viewers), ''], value: s => s.weir.viewers },
  { name: 'streams', label: 'Streams', parts: s => [count(s.weir.streams), ''], value: s => s.weir.streams },
  { name: 'out', label: 'Out', parts: s => rateParts(s.weir.kbps.send_30s), value: s => s.weir.kbps.send_30s },
  { name: 'in', label: 'In', parts: s => rateParts(s.weir.kbps.recv_30s), value: s => s.weir.kbps.recv_30s },
  { name: 'loop', label: 'Busiest loop', parts: s => [String(Math.round(busiest(s.weir) * 100)), '%'], value: s => busiest(s.weir) },
  { name: 'memory', label: 'Memory', parts: s => memoryParts(s.self.mem_kbyte), value: s => s.self.mem_kbyte },
];

export class Overview {
  #tiles = TILES.map(tile => {
    const number = h('span.value');
    const unit = h('span.unit');
    const place = h('div.card.tile', { 'data-name': tile.name }, h('h3', {}, tile.label), h('p', {}, number, unit));
    $('tiles').append(place);
    return { ...tile, number, unit, spark: new Sparkline(place) };
  });
  #traffic = new Chart($('traffic-chart'), $('traffic-legend'), {
    name: 'Traffic',
    format: rate,
    series: [{ name: 'first', key: 'send', label: 'out', area: true }, { name: 'second', key: 'recv', label: 'in' }],
  });
  #viewers = new Chart($('viewers-chart'), $('viewers-legend'), {
    name: 'Viewers',
    format: value => count(Math.round(value * 10) / 10),
    series: [{ name: 'first', key: 'viewers', label: 'viewers', area: true }, { name: 'second', key: 'streams', label: 'streams' }],
  });
  #points = [];
  #loops = [];

  // What the node remembers of the time before this page.
  remember(history) {
    const first = this.#points[0]?.at ?? Infinity;
    const earlier = history.at
      .map((at, i) => ({ at, send: history.send_kbps[i], recv: history.recv_kbps[i], viewers: history.viewers[i], streams: history.streams[i] }))
      .filter(point => point.at < first);
    this.#points.unshift(...earlier);
  }

  show(summary) {
    for (const tile of this.#tiles) {
      const [number, unit] = tile.parts(summary);
      setText(tile.number, number);
      setText(tile.unit, unit);
      tile.spark.add(tile.value(summary));
    }
    const { weir } = summary;
    this.#points.push({ at: summary.now_ms, send: weir.kbps.send_30s, recv: weir.kbps.recv_30s, viewers: weir.viewers, streams: weir.streams });
    if (this.#points.length > MOST) this.#points.splice(0, this.#points.length - MOST);
    this.#traffic.show(this.#points);
    this.#viewers.show(this.#points);
    this.#showLoops(weir.loops);
    this.#showFacts(summary);
  }

  #showLoops(loops) {
    if (this.#loops.length !== loops.length) {
      this.#loops = loops.map((_, at) => {
        const bar = h('i');
        const meter = h('div.meter', { role: 'meter', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': `Loop ${at}` }, bar);
        const text = h('span.number');
        $('loops').append(h('li', {}, h('span', {}, `loop ${at}`), meter, text));
        return { meter, bar, text };
      });
      $('loops').replaceChildren(...[...$('loops').children].slice(-loops.length));
    }
    loops.forEach((share, at) => {
      const { meter, bar, text } = this.#loops[at];
      meter.setAttribute('aria-valuenow', Math.round(share * 100));
      meter.classList.toggle('high', share > BUSY);
      bar.style.width = percent(share);
      setText(text, percent(share));
    });
  }

  #showFacts({ self, system, weir }) {
    setFacts($('facts'), {
      'Up for': duration(self.srs_uptime),
      'Process': `${percent(self.cpu_percent)} of a core`,
      'Machine': `${percent(system.cpu_percent)} of ${system.cpus} cores`,
      'Load': system.load_1m.toFixed(2),
      'Clients': count(weir.clients),
      'Publishers': count(weir.publishers),
    });
  }
}
