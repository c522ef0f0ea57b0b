// The control API: requests with the token, and the events as they come.

const KEPT = 'weir-token';

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEPT) ?? '',
  set: text => sessionStorage.setItem(KEPT, text),
  forget: () => sessionStorage.removeItem(KEPT),
};

function headers() {
  return token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
}

async function refusal(response) {
  let text = `HTTP ${response.status}`;
  try {
    text = (await response.json()).error ?? text;
  } catch {
    // No JSON: the status says it.
  }
  return new Refused(response.status, text);
}

// The answer's JSON. Throws Refused, or TypeError when nobody answers.
export async function ask(method, path, signal = undefined) {
  const response = await fetch(`/api/v1/${path}`, { method, headers: headers(), signal, cache: 'no-store' });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// Looks when the returned function is called, and then `period` after each look, unless the page is hidden; calling it again
// begins anew. `current()` tells a look whether that has not happened meanwhile.
export function repeated(period, look) {
  let timer = 0;
  let round = 0;
  async function turn(mine) {
    try {
      if (!document.hidden) await look(() => mine === round);
    } catch {
      // The stream of events tells what is wrong.
    }
    if (mine === round) timer = setTimeout(turn, period, mine);
  }
  return () => {
    clearTimeout(timer);
    turn(++round);
  };
}

// Pictures of the node, for as long as the connection lasts. Why not EventSource: it sends no Authorization.
export async function* pictures(signal) {
  const response = await fetch('/api/v1/events', { headers: headers(), signal, cache: 'no-store' });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
      const event = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      if (event.startsWith('data: ')) yield JSON.parse(event.slice(6));
    }
  }
}
