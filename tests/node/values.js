// Questions about values, each with Node's own answer, for test_values.c to answer as well:
//
//   node values.js SEED
//
// prints one question in a line, fields separated by a blank, texts and bytes in hexadecimal ('-' for
// empty ones and '~' for those that are not given). The same seed gives the same questions.
'use strict';

const net = require('node:net');
const { StringDecoder } = require('node:string_decoder');

let state = Number(process.argv[2] ?? 1) >>> 0;

function below(bound) {
  state = (state + 0x6d2b79f5) >>> 0; // mulberry32
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % bound;
}

const chance = (one, of) => below(of) < one;
const pick = (list) => list[below(list.length)];
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

function hex(value) {
  if (value === undefined) {
    return '~';
  }
  const text = Buffer.from(value).toString('hex');
  return text === '' ? '-' : text;
}

const lines = [];
const ask = (...fields) => lines.push(fields.join(' '));

function codeOf(action) {
  try {
    action();
    return '0';
  } catch (error) {
    return error.code;
  }
}

// ---- Texts of addresses ----

const octet = () => pick(['0', '1', '9', '10', '99', '100', '127', '199', '200', '249', '250', '255', String(below(256))]);
const ipv4 = () => times(4, octet).join('.');
const group = () => pick(['0', '1', 'f', 'ff', 'ffff', '0000', 'AbC', 'fe80', below(65536).toString(16)]);

function ipv6() {
  const tail = chance(1, 4) ? [ipv4()] : [];
  const whole = 8 - 2 * tail.length;
  if (chance(1, 3)) {
    return [...times(whole, group), ...tail].join(':');
  }
  const count = below(whole);
  const before = below(count + 1);
  const left = times(before, group);
  const right = [...times(count - before, group), ...tail];
  return `${left.join(':')}::${right.join(':')}`;
}

const zone = () => '%' + times(1 + below(6), () => pick([...'abzAZ019.-:'])).join('');

const oddities = [
  '', ' ', '0', '.', ':', '::', ':::', '%', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.00', '0x7f.1.1.1',
  '127.1', '2130706433', '1.2.3.4/8', '1.2.3.4:80', '[::1]', '::1/64', '12345::', 'g::', '1::2::3', '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1::2:3:4:5:6:7:8', '::1%', '::1%a_b', '::1%a%b', '1.2.3.4%lo',
  '::ffff:1.2.3.04', '::1.2.3', '::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', '::1\n', '\u0000', '::1\u0000', '::1%\u0000', '\uff11.2.3.4',
];

function mutate(text) {
  const characters = [...text];
  for (let count = 1 + below(2); count > 0; count--) {
    const at = below(characters.length + 1);
    const fresh = pick([...'0123456789abcfABCFg:.%/ []-_\n\u0000\u00e9\uff11', '::', '.0', '00', '255', ':0']);
    switch (below(4)) {
      case 0:
        characters.splice(at, 0, fresh);
        break;
      case 1:
        characters.splice(at, 1);
        break;
      case 2:
        characters.splice(at, 1, fresh);
        break;
      default:
        characters.splice(at, 0, ...characters.slice(at, at + 1 + below(4)));
        break;
    }
  }
  return characters.join('');
}

function someText() {
  const text = pick([ipv4, ipv6, ipv6, () => ipv6() + zone(), () => pick(oddities)])();
  return chance(1, 2) ? mutate(text) : text;
}

function isIP(count) {
  for (const text of [...oddities, ...times(count, someText)]) {
    ask('isip', hex(text), net.isIP(text));
  }
}

// ---- Block lists ----

// What libuv takes and isIP does not, as troupe does not either: a zone of any characters, and what
// comes behind a NUL. It also cuts long addresses with a zone. None of that is asked.
const asked = (text) => !text.includes('\u0000') && (net.isIP(text) !== 0 ? !/\..*%/.test(text) : !text.includes('%'));

const close4 = () => `10.${pick([0, 0, 1, 255])}.${pick([0, 1, 127, 128, 255])}.${pick([0, 1, 2, 63, 64, 127, 128, 254, 255])}`;

function close6() {
  const last = () => pick(['0', '1', '2', '7fff', '8000', 'fffe', 'ffff', 'ff00', 'aff']);
  return pick([
    () => `::ffff:${close4()}`,
    () => `::FFFF:a${pick(['00', '01', 'ff'])}:${last()}`,
    () => `${pick(['', '1', '2001:db8', '8000'])}::${last()}:${last()}`,
    () => `2001:db8:${last()}:${last()}::${last()}`,
    () => `::${close4()}`,
    () => close6() + (chance(1, 8) ? '%lo' : ''),
  ])();
}

function someAddress() {
  const family = pick(['ipv4', 'ipv6']);
  let text = family === 'ipv4' ? close4() : close6();
  if (chance(1, 30)) {
    text = mutate(text);
  }
  if (chance(1, 30)) {
    text = pick(['', '::1', '1.2.3.4', 'x']);
  }
  return asked(text) ? { text, family } : someAddress();
}

const digit = (family) => (family === 'ipv4' ? 4 : 6);

function addRule(list) {
  const address = someAddress();
  switch (below(4)) {
    case 0:
      ask('address', digit(address.family), hex(address.text), codeOf(() => list.addAddress(address.text, address.family)));
      break;
    case 1: {
      const end = chance(2, 3) ? address.text.replace(/[^:.]+$/, address.family === 'ipv4' ? '255' : 'ffff') : someAddress().text;
      ask('range', digit(address.family), hex(address.text), hex(end), codeOf(() => list.addRange(address.text, end, address.family)));
      break;
    }
    case 2: {
      const bits = address.family === 'ipv4' ? 32 : 128;
      const prefix = chance(1, 10) ? below(bits + 4) - 2 : bits - below(20);
      ask('subnet', digit(address.family), hex(address.text), prefix, codeOf(() => list.addSubnet(address.text, prefix, address.family)));
      break;
    }
    default: {
      // As objects, perhaps of different families.
      const [start, end] = [someAddress(), someAddress()];
      let objects;
      try {
        objects = [start, end].map(({ text, family }) => new net.SocketAddress({ address: text, family }));
      } catch {
        return;
      }
      ask('objects', digit(start.family), hex(start.text), digit(end.family), hex(end.text), codeOf(() => list.addRange(...objects)));
      break;
    }
  }
}

function blockLists(lists, checks) {
  for (let i = 0; i < lists; i++) {
    const list = new net.BlockList();
    ask('list');
    for (let rules = 1 + below(16); rules > 0; rules--) {
      addRule(list);
    }
    for (let j = 0; j < checks; j++) {
      const { text, family } = someAddress();
      ask('check', digit(family), hex(text), list.check(text, family) ? 1 : 0);
    }
    list.rules.forEach((rule, index) => ask('rule', index, hex(rule)));
    ask('rules', list.rules.length);
  }
}

// ---- Addresses ----

function socketAddresses(count) {
  for (let i = 0; i < count; i++) {
    const options = {};
    if (chance(2, 3)) {
      options.family = pick(['ipv4', 'ipv6', 'ipv6']);
    }
    if (chance(4, 5)) {
      options.address = pick([ipv4, ipv6, someText])();
      if (!asked(options.address)) {
        continue;
      }
    }
    if (chance(2, 3)) {
      options.port = pick([0, 1, 80, 65535, 65536, -1, below(70000)]);
    }
    if (chance(1, 2)) {
      options.flowlabel = pick([0, 1, 0xfffff, 2 ** 32, below(0x100000)]); // between, Node aborts
    }
    const question = ['socketaddress', hex(options.address), options.family === undefined ? 0 : digit(options.family),
      options.port ?? 0, options.flowlabel ?? 0];
    let made;
    const code = codeOf(() => {
      made = new net.SocketAddress(options);
    });
    const answer = made === undefined ? [] : [hex(made.address), digit(made.family), made.port, made.flowlabel];
    ask(...question, code, ...answer);
  }
}

// ---- Encodings ----

const encodings = ['utf8', 'utf16le', 'latin1', 'ascii', 'hex', 'base64', 'base64url'];

function names(count) {
  const known = [...encodings, 'utf-8', 'ucs2', 'ucs-2', 'utf-16le', 'binary', 'utf16', 'buffer', 'raw', 'us-ascii', 'utf', 'hexa'];
  for (let i = 0; i < count; i++) {
    let name = [...pick(known)].map((c) => (chance(1, 3) ? c.toUpperCase() : c)).join('');
    if (chance(1, 4)) {
      name = mutate(name);
    }
    if (name !== '') {
      ask('name', hex(name), Buffer.isEncoding(name) ? new StringDecoder(name).encoding : '~');
    }
  }
}

const character = () => String.fromCodePoint(pick([
  () => 0x20 + below(0x5f), () => 0x20 + below(0x5f), () => below(0x80), () => 0x80 + below(0x80), () => 0x100 + below(0x700),
  () => 0x800 + below(0xd000), () => 0xe000 + below(0x2000), () => 0x10000 + below(0x100000),
])());
const sentence = () => times(below(20), character).join('');

function someBytes(encoding) {
  if (chance(1, 2)) {
    return Buffer.from(sentence(), encoding === 'utf16le' ? 'utf16le' : 'utf8');
  }
  const likely = [0x61, 0, 0x80, 0xbf, 0xc0, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4, 0xf5, 0xff, 0xd8, 0xdb, 0xdc, 0xdf, 0x9f, 0xa0, 0x8f, 0x90];
  return Buffer.from(times(below(30), () => (chance(1, 4) ? below(256) : pick(likely))));
}

// Whether the text of each piece has to be the same, or only that of all together. Of bytes that
// are not UTF-8 troupe gives U+FFFD as soon as that is certain, Node sometimes a piece later; and
// Node tears UTF-16 pairs apart where a piece ends in the middle of the second half.
function isWhole(encoding, bytes, texts) {
  if (encoding === 'utf8') {
    return Buffer.from(bytes.toString('utf8')).equals(bytes);
  }
  return texts.every((text) => text.isWellFormed());
}

function decoding(count) {
  for (let i = 0; i < count; i++) {
    const encoding = pick(encodings);
    const bytes = someBytes(encoding);
    const pieces = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + below(chance(1, 2) ? 3 : bytes.length);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    const decoder = new StringDecoder(encoding);
    const texts = pieces.map((piece) => decoder.write(piece));
    texts.push(decoder.end());
    const each = isWhole(encoding, bytes, texts) ? texts.map(hex) : [];
    ask('decode', encoding, pieces.length, ...pieces.map(hex), hex(texts.join('')), ...each);
  }
}

function encoding(count) {
  for (let i = 0; i < count; i++) {
    const encoding = pick(encodings);
    let text = sentence();
    if (encoding === 'hex' || encoding.startsWith('base64')) {
      text = Buffer.from(times(below(20), () => below(256))).toString(encoding);
      if (chance(1, 2)) {
        const characters = [...text];
        for (let count = 1 + below(3); count > 0; count--) {
          const fresh = pick([...' \n=-_+/!azAZ09gG\u00e9\u20ac', '==']);
          characters.splice(below(characters.length + 1), below(2), fresh);
        }
        text = characters.join('');
      }
    }
    ask('encode', encoding, hex(text), hex(Buffer.from(text, encoding)));
  }
}

isIP(20000);
blockLists(500, 40);
socketAddresses(15000);
names(2000);
decoding(20000);
encoding(20000);
ask('end', lines.length);
process.stdout.write(lines.join('\n') + '\n');
