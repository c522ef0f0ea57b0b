// start(name, kind, url) plays a live URL in a <video> of its own; samples() tells how each is doing.
'use strict';

const playing = {};

const starters = {
  hls(video, url, failed, options = {}) {
    const player = new Hls(options);
    player.on(Hls.Events.ERROR, (_, data) => failed(`${data.type} ${data.details} fatal=${data.fatal} ${data.url ?? ''}`));
    player.on(Hls.Events.MANIFEST_PARSED, () => video.play());
    player.loadSource(url);
    player.attachMedia(video);
    return player;
  },

  llhls(video, url, failed) {
    return starters.hls(video, url, failed, { lowLatencyMode: true });
  },

  dash(video, url, failed) {
    const player = dashjs.MediaPlayer().create();
    // Whom it would ask for the time is on the Internet.
    player.updateSettings({ streaming: { utcSynchronization: { enabled: false } } });
    player.on('error', event => failed(JSON.stringify(event.error)));
    player.initialize(video, url, true);
    return player;
  },

  mpegts(video, url, failed, type) {
    const player = mpegts.createPlayer({ type, isLive: true, url }, { enableStashBuffer: false });
    player.on(mpegts.Events.ERROR, (...what) => failed(what.map(String).join(' ')));
    player.attachMediaElement(video);
    player.load();
    player.play();
    return player;
  },

  flv(video, url, failed) {
    return starters.mpegts(video, url, failed, 'flv');
  },

  ts(video, url, failed) {
    return starters.mpegts(video, url, failed, 'mpegts');
  },
};

window.start = (name, kind, url) => {
  const video = document.createElement('video');
  video.muted = true;
  video.width = 160;
  document.body.append(video);
  const errors = [];
  const player = starters[kind](video, url, error => errors.push(error));
  playing[name] = { video, player, errors };
};

window.samples = () => Object.fromEntries(Object.entries(playing).map(([name, { video, player, errors }]) => [name, {
  time: video.currentTime,
  frames: video.getVideoPlaybackQuality().totalVideoFrames,
  sound: video.webkitAudioDecodedByteCount,
  width: video.videoWidth,
  latency: player.latency ?? null,
  errors,
}]));
