// Plays a stream from this node's own media ports, as a viewer would.

import { $, h, setFacts, setText } from './dom.js';
import { DEFAULT_VHOST, rate, shortName } from './format.js';

const PERIOD = 500;
const libraries = new Map();
// What fetch() says, whoever was at fault.
const UNREADABLE = /failed to fetch|networkerror|load failed/i;

// A library of lib/, once; what it defines as a global name.
function library(file, name) {
  if (!libraries.has(file)) {
    libraries.set(file, new Promise((resolve, reject) => {
      const script = h('script', { src: `lib/${file}` });
      script.addEventListener('load', () => resolve(window[name]));
      script.addEventListener('error', () => reject(new Error(`lib/${file} is not part of this build`)));
      document.head.append(script);
    }));
  }
  return libraries.get(file);
}

const mpegts = type => async (video, url, failed) => {
  const lib = await library('mpegts.js', 'mpegts');
  lib.LoggingControl.enableAll = false;
  const player = lib.createPlayer({ type, isLive: true, url }, { enableStashBuffer: false, liveBufferLatencyChasing: true });
  player.on(lib.Events.ERROR, (kind, detail, info) => failed(info?.msg ?? `${kind}: ${detail}`));
  player.attachMediaElement(video);
  player.load();
  return { stop: () => player.destroy() };
};

async function hls(video, url, failed) {
  const Hls = await library('hls.min.js', 'Hls');
  const player = new Hls({ enableWorker: false, lowLatencyMode: true });
  player.on(Hls.Events.ERROR, (_, error) => error.fatal && failed(`${error.details}${error.response?.code ? `: HTTP ${error.response.code}` : ''}`));
  player.loadSource(url);
  player.attachMedia(video);
  return { stop: () => player.destroy() };
}

async function post(url, body) {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body });
  return { status: answer.status, location: answer.headers.get('Location'), text: await answer.text() };
}

// WHEP in both forms: MediaMTX's path, then SRS's.
async function whep(video, url, failed) {
  const peer = new RTCPeerConnection();
  let session = null;
  const stop = () => {
    peer.close();
    if (session) fetch(session, { method: 'DELETE', keepalive: true }).catch(() => {});
  };
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  peer.ontrack = ({ streams: [stream] }) => { video.srcObject = stream; };
  peer.onconnectionstatechange = () => peer.connectionState === 'failed' && failed('no way to the media port');
  await peer.setLocalDescription();
  await new Promise(resolve => {
    if (peer.iceGatheringState === 'complete') resolve();
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
    setTimeout(resolve, 1000);
  });
  const [app, stream] = new URL(url).pathname.split('/').slice(1);
  const forms = [url, new URL(`/rtc/v1/whep/?app=${app}&stream=${stream}`, url).href];
  let answer = null;
  for (const form of forms) {
    answer = await post(form, peer.localDescription.sdp);
    if (answer.status === 201 || answer.status === 200) break;
  }
  if (answer.status !== 201 && answer.status !== 200) throw new Error(`WHEP: HTTP ${answer.status}`);
  if (answer.location) session = new URL(answer.location, url).href;
  await peer.setRemoteDescription({ type: 'answer', sdp: answer.text });
  return { stop };
}

const KINDS = [
  { name: 'flv', label: 'HTTP-FLV', scheme: 'http', suffix: '.flv', start: mpegts('flv') },
  { name: 'ws-flv', label: 'WS-FLV', scheme: 'ws', suffix: '.flv', start: mpegts('flv'), role: 'edge' },
  { name: 'ts', label: 'HTTP-TS', scheme: 'http', suffix: '.ts', start: mpegts('mpegts'), role: 'edge' },
  { name: 'hls', label: 'HLS', scheme: 'http', suffix: '.m3u8', start: hls },
  { name: 'whep', label: 'WebRTC', scheme: 'http', suffix: '/whep', start: whep, role: 'proxy' },
];

export class Player {
  #dialog = $('player');
  #video = $('player-video');
  #playing = null;
  #round = 0;
  #timer = 0;
  #stream = null;
  #where = null;
  #before = null;

  constructor() {
    this.#dialog.addEventListener('close', () => this.#stop());
    $('player-copy').addEventListener('click', () => navigator.clipboard?.writeText($('player-url').textContent));
  }

  // `where`: {role, listen} of the node.
  open(stream, where) {
    this.#stream = stream;
    this.#where = where;
    $('player-title').textContent = shortName(stream.stream_key);
    const kinds = KINDS.filter(kind => !kind.role || kind.role === where.role);
    $('player-kinds').replaceChildren(...kinds.map(kind =>
      h('button.tab', { type: 'button', 'data-kind': kind.name, onclick: () => this.#start(kind) }, kind.label)));
    this.#dialog.showModal();
    this.#start(kinds[0]);
  }

  #url(kind) {
    const secure = location.protocol === 'https:' && this.#where.listen.https;
    const at = secure || this.#where.listen.http;
    if (!at) return null;
    const port = at.slice(at.lastIndexOf(':') + 1);
    const host = at.includes(':') ? at.slice(0, at.lastIndexOf(':')) : '';
    const [vhost, ...path] = this.#stream.stream_key.split('/');
    const query = vhost === DEFAULT_VHOST ? '' : `?vhost=${encodeURIComponent(vhost)}`;
    const authority = `${host && host !== '0.0.0.0' && host !== '[::]' ? host : location.hostname}:${port}`;
    return `${kind.scheme}${secure ? 's' : ''}://${authority}/${path.map(encodeURIComponent).join('/')}${kind.suffix}${query}`;
  }

  async #start(kind) {
    this.#stop();
    const round = ++this.#round;
    for (const tab of $('player-kinds').children) tab.setAttribute('aria-pressed', String(tab.dataset.kind === kind.name));
    const url = this.#url(kind);
    $('player-url').textContent = url ?? '';
    if (!url) {
      this.#say('listen.http is off at this node.');
      return;
    }
    this.#say('Connecting…');
    this.#before = null;
    this.#timer = setInterval(() => this.#look(), PERIOD);
    try {
      const playing = await kind.start(this.#video, url, why => round === this.#round && this.#fail(why));
      if (round !== this.#round) {
        playing.stop();
        return;
      }
      this.#playing = playing;
      await this.#video.play();
    } catch (error) {
      if (round === this.#round && error.name !== 'AbortError') this.#fail(error.message);
    }
  }

  #stop() {
    ++this.#round;
    clearInterval(this.#timer);
    this.#playing?.stop();
    this.#playing = null;
    this.#video.srcObject = null;
    this.#video.removeAttribute('src');
    this.#video.load();
    $('player-facts').replaceChildren();
    this.#say('');
  }

  #fail(why) {
    const origin = this.#where.role === 'proxy' ? ' Behind a proxy, the origin says which pages may read it (Access-Control-Allow-Origin).' : '';
    this.#say(UNREADABLE.test(why) ? `No answer that this page may read.${origin}` : `It does not play: ${why}`);
    this.#video.removeAttribute('src');
  }

  #say(text) {
    setText($('player-message'), text);
    $('player-message').hidden = !text;
  }

  #look() {
    const video = this.#video;
    const quality = video.getVideoPlaybackQuality();
    const now = { at: performance.now(), frames: quality.totalVideoFrames, bytes: (video.webkitVideoDecodedByteCount ?? 0) + (video.webkitAudioDecodedByteCount ?? 0) };
    const before = this.#before;
    this.#before = now;
    if (now.frames === 0 || !before) return;
    if (video.currentTime > 0 && $('player-message').textContent === 'Connecting…') this.#say('');
    const seconds = (now.at - before.at) / 1000;
    const ahead = video.buffered.length > 0 ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
    setFacts($('player-facts'), {
      Picture: `${video.videoWidth}×${video.videoHeight}`,
      Frames: `${Math.round((now.frames - before.frames) / seconds)} /s`,
      Dropped: String(quality.droppedVideoFrames),
      Rate: now.bytes > 0 ? rate(((now.bytes - before.bytes) * 8) / 1000 / seconds) : '–',
      Buffer: `${ahead.toFixed(1)} s`,
    });
  }
}
