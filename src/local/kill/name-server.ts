/** A name server of our own, over UDP on loopback: A, AAAA, MX and TXT of the names that it is given. */
import { createSocket } from "node:dgram";
import { once } from "node:events";

export interface Records {
  readonly a?: readonly string[];
  /** In full: eight groups. */
  readonly aaaa?: readonly string[];
  /** Preference and host; the host `.` is the root (RFC 7505). */
  readonly mx?: readonly (readonly [number, string])[];
  readonly txt?: readonly string[];
}

/** By name, lower case. `mute` never answers, `broken` fails; a name that is not here does not exist. */
export type Zone = Readonly<Record<string, Records | "mute" | "broken">>;

export interface NameServer {
  /** As node:dns takes it. */
  readonly address: string;
  /** Names that were asked for, with the type, in order. */
  readonly asked: string[];
  close(): void;
}

const TYPES: Readonly<Record<number, keyof Records>> = { 1: "a", 15: "mx", 16: "txt", 28: "aaaa" };
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NO_SUCH_NAME = 3;

export async function startNameServer(zone: Zone): Promise<NameServer> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, { port, address }) => {
    const { name, end } = nameAt(query, 12);
    const type = query.readUInt16BE(end);
    asked.push(`${TYPES[type] ?? type} ${name}`);
    const known = zone[name];
    if (known === "mute") return;
    const records = typeof known === "object" ? answersOf(known, type) : [];
    const head = Buffer.from(query.subarray(0, end + 4));
    const status = known === "broken" ? SERVER_FAILURE : known ? NO_ERROR : NO_SUCH_NAME;
    head.writeUInt16BE(0x8180 | status, 2);
    head.writeUInt16BE(records.length, 6);
    head.fill(0, 8, 12);
    socket.send(Buffer.concat([head, ...records.map((data) => record(type, data))]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { address: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() };
}

function nameAt(query: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + size).toLowerCase());
    at += 1 + size;
  }
  return { name: labels.join("."), end: at + 1 };
}

function answersOf({ a = [], aaaa = [], mx = [], txt = [] }: Records, type: number): Buffer[] {
  switch (TYPES[type]) {
    case "a":
      return a.map((ip) => Buffer.from(ip.split(".").map(Number)));
    case "aaaa":
      return aaaa.map((ip) => Buffer.from(ip.split(":").flatMap(hex)));
    case "mx":
      return mx.map(([preference, host]) => {
        const head = Buffer.alloc(2);
        head.writeUInt16BE(preference);
        return Buffer.concat([head, encoded(host)]);
      });
    case "txt":
      return txt.map((text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]));
    default:
      return [];
  }
}

/** RFC 1035 §4.1.3, with the name of the question, for nine seconds. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 9, 0, 0]);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function hex(group: string): number[] {
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 255];
}

function encoded(host: string): Buffer {
  const labels = host.split(".").filter(Boolean);
  return Buffer.concat([...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)]);
}
