// This node and those upstream that have an API, each as it tells of itself.

import { ask, repeated } from './api.js';
import { $, Table, h, setText, stateMark } from './dom.js';
import { busiest, count, duration, percent, rate } from './format.js';

const PERIOD = 5000;

function state(node) {
  if (node.error) return ['bad', node.error];
  const word = node.data.weir?.state ?? 'ready';
  return [word === 'ready' ? 'good' : 'warm', word];
}

const of = (node, value) => (node.data?.weir ? value(node.data.weir) : '–');

export class Nodes {
  #table = new Table($('nodes-table'), {
    caption: 'Nodes',
    key: node => node.id,
    columns: [
      { name: 'id', label: 'Node', value: n => n.id + n.here,
        fill: (cell, n) => cell.replaceChildren(h('b', {}, n.id), n.here ? h('div.sub', {}, 'this node') : '') },
      { name: 'role', label: 'Role', value: n => of(n, w => w.role) },
      { name: 'state', label: 'State', value: n => state(n).join(),
        fill: (cell, n) => cell.replaceChildren(stateMark(...state(n))) },
      { name: 'streams', label: 'Streams', number: true, value: n => of(n, w => count(w.streams)) },
      { name: 'viewers', label: 'Viewers', number: true, value: n => of(n, w => count(w.viewers)) },
      { name: 'out', label: 'Out', number: true, value: n => of(n, w => rate(w.kbps.send_30s)) },
      { name: 'in', label: 'In', number: true, value: n => of(n, w => rate(w.kbps.recv_30s)) },
      { name: 'loop', label: 'Busiest loop', number: true, value: n => of(n, w => percent(busiest(w))) },
      { name: 'up', label: 'Up for', number: true, value: n => (n.data ? duration(n.data.self?.srs_uptime) : '–') },
      { name: 'version', label: 'Version', number: true, value: n => n.data?.self?.version ?? '–' },
    ],
  });

  start = repeated(PERIOD, async current => {
    const answer = await ask('GET', 'summaries?scope=cluster');
    if (current()) this.show(answer);
  });

  show({ nodes, data, server }) {
    const rows = nodes.map(node => ({
      id: node.id,
      here: node.id === server,
      error: node.error,
      data: data.find(each => each.node === node.id),
    }));
    setText($('nodes-count'), count(rows.length));
    this.#table.show(rows);
  }
}
