// Headless Chromium for a test in Python: each line of standard input is {method, arguments} of Playwright's Page, or
// one of the methods below; each line of standard output {value} or {error}.
//
//   node browser.mjs FOLDER-OF-PLAYWRIGHT PROFILE
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [folder, profile] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(join(folder, 'index.mjs')));

const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1280, height: 800 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
    // Plain 127.0.0.1 candidates, and pages of one local port that fetch from another.
    '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks', '--allow-loopback-in-peer-connection'],
});
const page = context.pages()[0] ?? await context.newPage();
page.setDefaultTimeout(20_000);

let lines = [];
page.on('console', message => lines.push([message.type(), message.text()]));
page.on('pageerror', error => lines.push(['error', String(error)]));

const own = {
  // Runs a function of the page: call('name', ...arguments).
  call: (name, ...given) => page.evaluate(([what, values]) => window[what](...values), [name, given]),
  // [[type, text]] since the last time.
  console: () => {
    const read = lines;
    lines = [];
    return read;
  },
  // The texts of all elements that match.
  texts: selector => page.locator(selector).allInnerTexts(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { method, arguments: given } = JSON.parse(line);
  let answer;
  try {
    const value = await (own[method] ?? page[method].bind(page))(...given);
    answer = { value: isPlain(value) ? value : null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await context.close();

// What JSON can carry; Playwright's own objects are not.
function isPlain(value) {
  return value === null || typeof value !== 'object' || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}
