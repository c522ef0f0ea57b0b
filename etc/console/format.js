// Numbers as people read them. Every function takes what the API gives and returns a short text.

const grouped = new Intl.NumberFormat('en-US');

export const count = number => grouped.format(number ?? 0);

// Three digits that count: 4.25, 42.5, 425.
function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value, step, units) {
  let unit = 0;
  while (value >= step * 0.9995 && unit < units.length - 1) {
    value /= step;
    ++unit;
  }
  return [unit === 0 ? String(Math.round(value)) : digits(value), units[unit]];
}

// [number, unit] of a rate in kbit/s.
export const rateParts = kbps => scaled(kbps ?? 0, 1000, ['kb/s', 'Mb/s', 'Gb/s', 'Tb/s']);
export const rate = kbps => rateParts(kbps).join(' ');

export const memoryParts = kbyte => scaled(kbyte ?? 0, 1024, ['KiB', 'MiB', 'GiB', 'TiB']);

// The share of its time that the busiest of the loops works.
export const busiest = weir => Math.max(0, ...weir.loops);

export const percent = share => `${Math.round((share ?? 0) * 100)}%`;

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds ?? 0));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${String(minutes).padStart(2, '0')}m`;
  if (minutes > 0) return `${minutes}m ${String(whole % 60).padStart(2, '0')}s`;
  return `${whole}s`;
}

export const clock = ms => new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
export const clockSeconds = ms => new Date(ms).toLocaleTimeString('en-GB');

export const DEFAULT_VHOST = '__defaultVhost__';

// A stream's key without the vhost that most streams have.
export const shortName = key => (key.startsWith(`${DEFAULT_VHOST}/`) ? key.slice(DEFAULT_VHOST.length + 1) : key);

// "H.264 High 3.1 · 1280×720" from the API's object; empty for none.
export function video(of) {
  if (!of) return '';
  const size = of.width > 0 ? `${of.width}×${of.height}` : '';
  return [[codec(of.codec), of.profile].filter(Boolean).join(' '), size].filter(Boolean).join(' · ');
}

export function audio(of) {
  if (!of) return '';
  const hertz = of.sample_rate > 0 ? `${digits(of.sample_rate / 1000).replace(/\.0+$|0$/, '')} kHz` : '';
  const channels = { 1: 'mono', 2: 'stereo' }[of.channel] ?? (of.channel > 0 ? `${of.channel} ch` : '');
  return [[codec(of.codec), of.profile].filter(Boolean).join(' '), hertz, channels].filter(Boolean).join(' · ');
}

const CODECS = { h264: 'H.264', h265: 'H.265', hevc: 'H.265', av1: 'AV1', vp8: 'VP8', vp9: 'VP9', aac: 'AAC', mp3: 'MP3', opus: 'Opus', flac: 'FLAC' };
const codec = name => CODECS[String(name).toLowerCase()] ?? name;
