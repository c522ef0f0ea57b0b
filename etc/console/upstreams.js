// Whom this node relays to or pulls from, and how they are.

import { $, Table, h, setText, stateMark } from './dom.js';
import { count } from './format.js';

const PROTOCOLS = ['rtmp', 'http', 'api', 'webrtc', 'srt', 'rtsp'];

// [class of the dot, word, reason]
function health(upstream) {
  if (!upstream.alive) return ['bad', 'gone', 'no heartbeat'];
  if (upstream.ejected) return ['bad', 'ejected', `tried again in ${Math.ceil(upstream.ejected_ms / 1000)} s`];
  if (upstream.drained) return ['warm', 'drained', 'no new streams'];
  return ['good', 'in use', upstream.probes === 'good' ? 'probes pass' : ''];
}

const addresses = upstream => PROTOCOLS.filter(each => upstream[each]?.length > 0)
  .map(each => `${each} ${upstream[each].map(at => at.replace(`${upstream.host}:`, ':')).join(', ')}`).join(' · ');

export class Upstreams {
  #table;

  // drain(upstream): the button. It takes back what it did.
  constructor({ drain }) {
    this.#table = new Table($('upstreams-table'), {
      caption: 'Upstreams of this node',
      key: upstream => upstream.id,
      order: { name: 'id', down: false },
      empty: 'No upstream: what is published here is served from here.',
      columns: [
        { name: 'id', label: 'Upstream', sort: u => u.id, value: u => `${u.id}${u.host}${u.zone}`,
          fill: (cell, u) => cell.replaceChildren(h('b', {}, u.id), h('div.sub', {}, [u.host, u.zone && `zone ${u.zone}`].filter(Boolean).join(' · '))) },
        { name: 'health', label: 'Health', sort: u => health(u)[1], value: u => health(u).join(),
          fill: (cell, u) => {
            const [kind, word, why] = health(u);
            cell.replaceChildren(stateMark(kind, word), h('div.sub', {}, why));
          } },
        { name: 'addresses', label: 'Speaks', value: addresses },
        { name: 'streams', label: 'Streams', number: true, sort: u => u.streams, value: u => count(u.streams) },
        { name: 'routes', label: 'Routes', number: true, sort: u => u.routes, value: u => count(u.routes) },
        { name: 'weight', label: 'Weight', number: true, sort: u => u.weight, value: u => count(u.weight) },
        { name: 'failures', label: 'Failures', number: true, sort: u => u.failures, value: u => count(u.failures) },
        { name: 'actions', value: u => String(u.drained),
          fill: (cell, u) => cell.replaceChildren(h('button.quiet', {
            type: 'button', 'aria-label': `${u.drained ? 'Undrain' : 'Drain'} ${u.id}`, onclick: () => drain(u),
          }, u.drained ? 'Undrain' : 'Drain')) },
      ],
    });
  }

  show(upstreams) {
    const used = upstreams.filter(each => health(each)[0] === 'good').length;
    setText($('upstreams-count'), used < upstreams.length ? `${used} of ${upstreams.length} in use` : count(upstreams.length));
    this.#table.show(upstreams);
  }
}
