// Who is connected, page by page; of one stream, or of all.

import { ask, repeated } from './api.js';
import { $, Table, h, setText } from './dom.js';
import { count, duration, rate, shortName } from './format.js';

const PAGE = matchMedia('(max-width: 700px)').matches ? 8 : 20;
const PERIOD = 2000;

const rateOf = client => (client.publish ? client.kbps.recv_30s : client.kbps.send_30s);

export class Clients {
  #table;
  #start = 0;
  #stream = '';

  // kick(client) ends one.
  constructor({ kick }) {
    this.#table = new Table($('clients-table'), {
      caption: 'Clients of this node',
      key: client => client.id,
      empty: 'Nobody is connected.',
      columns: [
        { name: 'id', label: 'Client', value: c => c.id + c.ip,
          fill: (cell, c) => cell.replaceChildren(h('b.mono', {}, c.id), h('div.sub', {}, c.ip)) },
        { name: 'stream', label: 'Stream', value: c => shortName(c.stream_key) || '–' },
        { name: 'kind', label: 'What', value: c => c.protocol + c.publish,
          fill: (cell, c) => cell.replaceChildren(h(c.publish ? 'span.chip.strong' : 'span.chip', {}, c.publish ? 'publishes' : 'plays'), ` ${c.protocol}`) },
        { name: 'agent', label: 'Agent', value: c => c.agent || '–',
          fill: (cell, c) => cell.replaceChildren(h('span.agent', { title: c.agent }, c.agent || '–')) },
        { name: 'rate', label: 'Rate', number: true, value: c => rate(rateOf(c)) },
        { name: 'since', label: 'For', number: true, value: c => duration(c.alive) },
        { name: 'actions', value: () => 'once',
          fill: (cell, c) => cell.replaceChildren(
            h('button.quiet.danger', { type: 'button', 'aria-label': `Kick ${c.id}`, onclick: () => kick(c) }, 'Kick')) },
      ],
    });
    $('clients-back').addEventListener('click', () => this.#turn(-PAGE));
    $('clients-next').addEventListener('click', () => this.#turn(PAGE));
    $('clients-stream').addEventListener('click', () => this.of(''));
  }

  // Those of one stream, or of all for ''.
  of(stream) {
    this.#stream = stream;
    this.#start = 0;
    $('clients-stream').hidden = !stream;
    $('clients-stream').replaceChildren(shortName(stream), h('span', { 'aria-label': '(show all)' }, ' ×'));
    this.start();
  }

  #turn(by) {
    this.#start = Math.max(0, this.#start + by);
    this.start();
  }

  start = repeated(PERIOD, async current => {
    const stream = this.#stream ? `&stream=${encodeURIComponent(this.#stream)}` : '';
    const answer = await ask('GET', `clients?start=${this.#start}&count=${PAGE}${stream}`);
    if (current()) this.#show(answer);
  });

  #show({ total, clients }) {
    if (clients.length === 0 && this.#start > 0) {
      this.#turn(-PAGE);
      return;
    }
    setText($('clients-count'), count(total));
    $('clients-pager').hidden = total <= PAGE;
    setText($('clients-range'), `${count(this.#start + 1)}–${count(this.#start + clients.length)} of ${count(total)}`);
    $('clients-back').disabled = this.#start === 0;
    $('clients-next').disabled = this.#start + clients.length >= total;
    this.#table.show(clients);
  }
}
