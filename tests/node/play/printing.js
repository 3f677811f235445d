// What play.js prints of a scenario: the same in every run, whatever ports and folders it gets.
'use strict';

const lines = [];
const ports = new Map(); // and whose they are
let folder = '';
let open = false;

// Of a scenario that has this folder; what comes before or after that is not printed.
function begin(place) {
  folder = place;
  ports.clear();
  lines.length = 0;
  open = true;
}

// The whole text.
function end() {
  open = false;
  return lines.map((line) => `${line.name} ${line.text}\n`).join('');
}

// Its text may still change.
function write(line) {
  if (open) {
    lines.push(line);
  }
}

function portText(port) {
  return ports.has(port) ? `<${ports.get(port)}>` : port < 1024 ? String(port) : '<?>';
}

// The scenario's folder.
function here() {
  return folder;
}

// What differs from run to run gets a name: ports, the scenario's folder, and how much is missing in
// it to a path of a given length. An abstract name's first byte is shown as @.
function plain(text) {
  return text.replaceAll('\0', '@').replaceAll(here(), '@tmp').replace(/x{20,}/g, 'x…')
    .replace(/:(\d+)(?!\d*[.:])/g, (all, digits) => `:${portText(Number(digits))}`);
}

function print(name, text) {
  write({ name, text });
}

function flags(socket) {
  return ` [${socket.readyState}${socket.connecting ? ' connecting' : ''}` +
    `${socket.pending ? ' pending' : ''}${socket.destroyed ? ' destroyed' : ''}]`;
}

function errorText(error) {
  if (error.own) {
    return `error ${error.code}`;
  }
  let text = `error ${error.code}`;
  if (typeof error.errno === 'number') {
    text += ` errno=${error.errno}`;
  }
  if (error.syscall !== undefined) {
    text += ` syscall=${error.syscall}`;
  }
  const address = error.address ?? error.hostname ?? error.host;
  if (address !== undefined && address !== null) {
    text += ` address=${plain(address)}`;
  }
  if (typeof error.port === 'number') {
    text += ` port=${portText(error.port)}`;
  }
  if (error.localAddress !== undefined) {
    text += ` local=${error.localAddress}:${portText(error.localPort)}`;
  }
  return `${text} "${plain(error.message)}"`;
}

function addressText(address, port, family) {
  return address === undefined ? 'none' : `${address} ${portText(port)} ${family}`;
}

// Bytes that come one after the other make one line, however they were cut into pieces.
function hash(bytes, before) {
  let value = before;
  for (const byte of bytes) {
    value = Math.imul(value ^ byte, 16777619) >>> 0;
  }
  return value;
}

function printData(object, event, bytes, mayJoin) {
  let line = null;
  for (let i = lines.length - 1; i >= 0 && mayJoin; i--) {
    if (lines[i].name === object.name) {
      line = lines[i].data === event ? lines[i] : null;
      break;
    }
  }
  if (line === null) {
    line = { name: object.name, data: event, length: 0, start: '', hidden: false, hash: 2166136261,
      flags: flags(object.socket) };
    write(line);
  }
  if (line.length + bytes.length <= 40) {
    line.start += bytes.toString('latin1');
  }
  line.length += bytes.length;
  line.hash = hash(bytes, line.hash);
  line.hidden ||= bytes.some((byte) => byte >= 0x80);
  const content = line.length <= 40 && !line.hidden ? `"${line.start}"` : line.hash.toString(16).padStart(8, '0');
  line.text = `${event} ${line.length} ${content}${line.flags}`;
}

module.exports = { addressText, begin, end, errorText, flags, here, plain, portText, ports, print, printData, write };
