// Puts the page together: the pictures of the node go to the views, the buttons to the API.

import { Refused, ask, pictures, token } from './api.js';
import { Clients } from './clients.js';
import { $, confirmed, setText, toast } from './dom.js';
import { DEFAULT_VHOST } from './format.js';
import { Nodes } from './nodes.js';
import { Overview } from './overview.js';
import { Player } from './player.js';
import { Streams } from './streams.js';
import { Upstreams } from './upstreams.js';

const SILENCE = 15_000;
const PAUSES = [500, 1000, 2000, 5000];

let node = { role: '', listen: {} };

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

// ------------------------------------------------------------------------------------------ token

let asking = null;

// Asks for the token; true when one was given that the node takes.
function unlock(why = '') {
  asking ??= askToken(why).finally(() => { asking = null; });
  return asking;
}

function askToken(why) {
  const dialog = $('ask-token');
  const trouble = $('token-trouble');
  trouble.hidden = !why;
  trouble.textContent = why;
  $('token').value = '';
  if (!dialog.open) dialog.showModal();
  return new Promise(resolve => {
    const submit = async event => {
      event.preventDefault();
      const before = token.get();
      token.set($('token').value.trim());
      try {
        await ask('GET', 'versions');
        done(true);
      } catch (error) {
        token.set(before);
        trouble.textContent = error instanceof Refused ? 'That is not the token of this node.' : 'The node does not answer.';
        trouble.hidden = false;
      }
    };
    const closed = () => done(false);
    const done = good => {
      $('token-form').removeEventListener('submit', submit);
      dialog.removeEventListener('close', closed);
      if (dialog.open) dialog.close();
      showLock();
      resolve(good);
    };
    $('token-form').addEventListener('submit', submit);
    dialog.addEventListener('close', closed);
  });
}

function showLock() {
  const known = Boolean(token.get());
  $('token-button').classList.toggle('on', known);
  $('token-button').title = known ? 'Forget the API token' : 'Enter the API token';
  $('token-button').setAttribute('aria-label', $('token-button').title);
}

// Does one thing at the node, and says how it went.
async function change(method, path, done) {
  try {
    await ask(method, path);
    toast(done);
  } catch (error) {
    if (error.status === 401 && (await unlock())) return change(method, path, done);
    toast(error.message, true);
  }
  return undefined;
}

// ------------------------------------------------------------------------------------------ views

const player = new Player();
const overview = new Overview();
const clients = new Clients({
  kick: async client => {
    const what = client.publish ? 'It publishes; its viewers lose the stream.' : 'Its player may come back by itself.';
    if (await confirmed(`Kick ${client.id}?`, what, 'Kick')) {
      await change('DELETE', `clients/${client.id}`, `${client.id} is kicked`);
      clients.start();
    }
  },
});
const streams = new Streams({
  play: stream => player.open(stream, node),
  clients: stream => {
    clients.of(stream.stream_key);
    $('clients').scrollIntoView();
  },
});
const upstreams = new Upstreams({
  drain: async upstream => {
    const verb = upstream.drained ? 'undrain' : 'drain';
    const path = `upstreams/${encodeURIComponent(upstream.id)}/${verb}`;
    if (upstream.drained || (await confirmed(`Drain ${upstream.id}?`, 'It gets no new streams; those it has go on.', 'Drain')))
      await change('POST', path, upstream.drained ? `${upstream.id} is back in use` : `${upstream.id} is drained`);
  },
});
const nodes = new Nodes();

function show(picture) {
  const { weir, self } = picture.summary;
  node = { role: weir.role, listen: picture.listen };
  setText($('node'), picture.server);
  setText($('role'), weir.role);
  $('role').hidden = false;
  setText($('version'), `weir ${self.version}`);
  document.title = `${picture.server} · weir`;
  say(weir.state === 'ready' ? 'good' : 'warm', weir.state === 'ready' ? 'live' : weir.state);
  $('drain-button').disabled = weir.state === 'draining';
  overview.show(picture.summary);
  streams.show(picture.streams, picture.streams_total);
  upstreams.show(picture.upstreams);
  playLinked();
}

// #play=VHOST/APP/STREAM, or #play=APP/STREAM, plays a stream whether it is listed or not.
function playLinked() {
  const link = /^#play=(.+)$/.exec(location.hash);
  if (!link) return;
  history.replaceState(null, '', location.pathname);
  const name = decodeURIComponent(link[1]);
  player.open({ stream_key: name.split('/').length > 2 ? name : `${DEFAULT_VHOST}/${name}` }, node);
}

// ------------------------------------------------------------------------------------- connection

function say(kind, text) {
  $('live').dataset.kind = kind;
  setText($('live-text'), text);
}

function trouble(text) {
  setText($('banner'), text);
  $('banner').hidden = !text;
}

// One connection, from its begin to its end.
async function follow() {
  const { history } = await ask('GET', 'history');
  overview.remember(history);
  nodes.start();
  clients.start();
  const end = new AbortController();
  let watch = 0;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => end.abort(), SILENCE);
  };
  heard();
  try {
    for await (const picture of pictures(end.signal)) {
      heard();
      trouble('');
      show(picture);
    }
  } finally {
    clearTimeout(watch);
  }
}

async function live() {
  for (let failures = 0; ; ++failures) {
    const began = performance.now();
    try {
      await follow();
    } catch (error) {
      if (error.status === 401) {
        say('warm', 'locked');
        const why = token.get() ? 'The node does not take this token any more.' : '';
        while (!(await unlock(why))) await unlocked();
        failures = -1;
        continue;
      }
      if (error instanceof Refused) trouble(error.message);
    }
    if (performance.now() - began > SILENCE) failures = 0;
    say('bad', 'not connected');
    await pause(PAUSES[Math.min(failures, PAUSES.length - 1)]);
  }
}

// The dialog was closed without a token: until somebody presses the lock.
function unlocked() {
  trouble('This node wants its API token. Press the lock to enter it.');
  return new Promise(resolve => $('token-button').addEventListener('click', () => {
    trouble('');
    resolve();
  }, { once: true }));
}

// ---------------------------------------------------------------------------------------- buttons

$('token-button').addEventListener('click', () => {
  if (token.get()) {
    token.forget();
    location.reload();
  } else if (!$('banner').textContent) {
    unlock();
  }
});
$('theme-button').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('weir-theme', root.dataset.theme);
});
$('drain-button').addEventListener('click', async () => {
  const text = 'It takes no new clients, lets those who are here go on for shutdown.grace, and then ends.';
  if (await confirmed('Drain this node?', text, 'Drain node')) await change('POST', 'drain', 'The node is going away');
});
for (const button of document.querySelectorAll('[data-close]'))
  button.addEventListener('click', () => button.closest('dialog').close());

showLock();
live();
