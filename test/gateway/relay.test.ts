import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { TUNNEL_FRAME_BYTES, TUNNEL_WINDOW } from "../../src/core/limits.ts";
import { type GatewaySecret, signRequest } from "../../src/core/protocol/gateway/signature.ts";
import { readTunnelReport, type TunnelReport, type TunnelRequest } from "../../src/core/protocol/gateway/tunnel.ts";
import { listenRelay, type RelayPort } from "../../src/gateway/relay.ts";
import { startNameServer, type Zone } from "../../src/local/kill/name-server.ts";
import { RECEIVING } from "./smtp-client.ts";
import { SECRET } from "./worker-double.ts";

const OLD = { id: "g0", secret: "the-one-before" };

async function start({
  most = 100,
  perHost = 100,
  perMx = 100,
  privateNames = false,
  nameServers = [],
}: {
  most?: number;
  perHost?: number;
  perMx?: number;
  privateNames?: boolean;
  nameServers?: readonly string[];
} = {}): Promise<RelayPort> {
  const relay = await listenRelay(
    {
      ...RECEIVING,
      worker: new URL("http://127.0.0.1:9"),
      secrets: [SECRET, OLD],
      tls: null,
      relay: { host: "127.0.0.1", port: 0, tls: false, privateNames, nameServers, mxHostPort: 25 },
    },
    { connections: most, connectionsPerHost: perHost, connectionsPerMx: perMx },
  );
  onTestFinished(() => relay.close());
  return relay;
}

/** An origin that a test speaks for. */
async function origin(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    serve(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function authorization(path: string, secret: GatewaySecret = SECRET): Promise<string> {
  return signRequest(secret, { method: "GET", path }, Date.now(), randomBytes(18).toString("base64url"));
}

/** The Worker's end. */
class Tunnel {
  readonly socket: WebSocket;
  readonly reports: TunnelReport[] = [];
  octets = Buffer.alloc(0);
  closed: number | null = null;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer, binary) => {
      if (binary) this.octets = Buffer.concat([this.octets, data]);
      else {
        const read = readTunnelReport(data.toString());
        if (!read.ok) throw new Error(read.error);
        if (read.value.op !== "alive") this.reports.push(read.value);
      }
    });
    socket.on("close", (code) => {
      this.closed = code;
    });
  }

  static async open(relay: RelayPort, header?: string): Promise<Tunnel> {
    const socket = new WebSocket(`ws://127.0.0.1:${relay.port}/relay`, {
      headers: { authorization: header ?? (await authorization("/relay")) },
    });
    onTestFinished(() => socket.terminate());
    const tunnel = new Tunnel(socket);
    await once(socket, "open");
    return tunnel;
  }

  static async connected(relay: RelayPort, port: number, host = "127.0.0.1", isPrivate = true): Promise<Tunnel> {
    const tunnel = await Tunnel.open(relay);
    tunnel.say({ op: "connect", host, port, limit: 2_000, private: isPrivate });
    await vi.waitFor(() => expect(tunnel.reports.length).toBeGreaterThan(0));
    return tunnel;
  }

  say(request: TunnelRequest | string): void {
    this.socket.send(typeof request === "string" ? request : JSON.stringify(request));
  }
}

/** The HTTP status that an upgrade is refused with. */
async function refused(relay: RelayPort, path: string, header?: string): Promise<number | undefined> {
  const socket = new WebSocket(
    `ws://127.0.0.1:${relay.port}${path}`,
    header ? { headers: { authorization: header } } : {},
  );
  socket.on("error", () => undefined);
  const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode?: number }];
  return response.statusCode;
}

describe("who may use the relay", () => {
  it("nobody without the Worker's signature, nor with one for another address, nor with one that was used", async () => {
    const relay = await start();
    expect(await refused(relay, "/relay")).toBe(401);
    expect(await refused(relay, "/relay", await authorization("/health"))).toBe(401);
    expect(await refused(relay, "/relay", await authorization("/relay", { id: "g1", secret: "a-guess" }))).toBe(401);
    const header = await authorization("/relay");
    await Tunnel.open(relay, header);
    expect(await refused(relay, "/relay", header)).toBe(401);
    expect(await refused(relay, "/elsewhere", await authorization("/elsewhere"))).toBe(404);
  });

  it("a Worker that signs with any of the secrets, so that they can be changed one side after the other", async () => {
    const relay = await start();
    await Tunnel.open(relay, await authorization("/relay", OLD));
    await Tunnel.open(relay, await authorization("/relay", SECRET));
  });

  it("as many as there is room for; the next one hears 503 and can go to another gateway", async () => {
    const relay = await start({ most: 1 });
    const first = await Tunnel.open(relay);
    expect(await refused(relay, "/relay", await authorization("/relay"))).toBe(503);
    first.socket.close();
    await vi.waitFor(async () => expect((await health(relay)).connections).toBe(0));
    await Tunnel.open(relay);
  });

  it("nobody else holds a connection that was refused, nor keeps the gateway from its end", async () => {
    const relay = await start();
    const stranger = connect({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void stranger.destroy());
    let heard = "";
    stranger.on("data", (octets) => {
      heard += octets;
    });
    stranger.on("error", () => undefined);
    const key = randomBytes(16).toString("base64");
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13`;
    stranger.write(`GET /relay HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n\r\n`);
    await vi.waitFor(() => expect(heard).toMatch(/^HTTP\/1\.1 401 /));
    await relay.close();
  });

  it("its health is for the Worker too", async () => {
    const relay = await start({ most: 7 });
    expect((await fetch(`http://127.0.0.1:${relay.port}/health`)).status).toBe(401);
    expect(await health(relay)).toEqual({ status: "ok", connections: 0, most: 7 });
  });

  async function health(relay: RelayPort): Promise<{ connections: number }> {
    const headers = { authorization: await authorization("/health") };
    return (await fetch(`http://127.0.0.1:${relay.port}/health`, { headers })).json() as Promise<{
      connections: number;
    }>;
  }
});

describe("where it connects to", () => {
  it.each(["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "localhost"])(
    "not to %s unless an operator named it",
    async (host) => {
      const relay = await start();
      let reached = 0;
      const port = await origin(() => reached++);
      const tunnel = await Tunnel.connected(relay, port, host, false);
      expect(tunnel.reports).toMatchObject([{ op: "failed", where: "origin", reason: "no_connection" }]);
      expect(reached).toBe(0);
    },
  );

  it("to a private address of a name, where the gateway's own setting allows it", async () => {
    const port = await origin((socket) => socket.write("220 hello\r\n"));
    const tunnel = await Tunnel.connected(await start({ privateNames: true }), port, "localhost", false);
    await vi.waitFor(() => expect(String(tunnel.octets)).toBe("220 hello\r\n"));
  });

  it("a closed port is the origin's failure", async () => {
    const tunnel = await Tunnel.connected(await start(), 1);
    expect(tunnel.reports).toMatchObject([{ op: "failed", where: "origin", reason: "no_connection" }]);
    expect(JSON.stringify(tunnel.reports)).toContain("ECONNREFUSED");
  });
});

async function nameServer(zone: Zone): Promise<string> {
  const server = await startNameServer(zone);
  onTestFinished(() => server.close());
  return server.address;
}

describe("a name in public", () => {
  const NAMES = {
    "inside.example.org": { a: ["127.0.0.1", "10.0.0.1", "0.0.0.0", "169.254.169.254"] },
    "mute.example.org": "mute",
    "broken.example.org": "broken",
  } as const;
  const looked = async (host: string) => {
    const relay = await start({ nameServers: [await nameServer(NAMES)] });
    let reached = 0;
    const port = await origin(() => reached++);
    const tunnel = await Tunnel.open(relay);
    tunnel.say({ op: "connect", host, port, limit: 700, private: false });
    await vi.waitFor(() => expect(tunnel.reports.length).toBeGreaterThan(0));
    expect(reached).toBe(0);
    return tunnel.reports[0];
  };

  it("that points to the gateway's own surroundings leads nowhere", async () => {
    const report = await looked("inside.example.org");
    expect(report).toMatchObject({ op: "failed", where: "origin", reason: "no_connection" });
    expect(JSON.stringify(report)).toContain("has only loopback or private addresses");
  });

  it("that nobody has is the origin's failure", async () => {
    expect(await looked("gone.example.org")).toMatchObject({ op: "failed", where: "origin", reason: "no_connection" });
  });

  it("that a name server does not answer for is our own failure, not the origin's", async () => {
    expect(await looked("mute.example.org")).toMatchObject({ op: "failed", where: "path", reason: "timeout" });
    expect(await looked("broken.example.org")).toMatchObject({ op: "failed", where: "path", reason: "no_connection" });
  });

  it("that no name server answers for keeps nobody else waiting", async () => {
    const relay = await start({ nameServers: [await nameServer(NAMES)] });
    const waiting = await Promise.all(Array.from({ length: 16 }, () => Tunnel.open(relay)));
    const connect = { op: "connect", port: 25, limit: 30_000, private: false } as const;
    for (const tunnel of waiting) tunnel.say({ ...connect, host: "mute.example.org" });
    const other = await Tunnel.open(relay);
    other.say({ ...connect, host: "gone.example.org" });
    await vi.waitFor(() => expect(other.reports).toMatchObject([{ op: "failed", where: "origin" }]));
    expect(waiting.flatMap(({ reports }) => reports)).toEqual([]);
  });
});

it("a host that keeps all of its connections leaves the others theirs", async () => {
  const relay = await start({ perHost: 2 });
  const port = await origin(() => undefined);
  const first = await Tunnel.connected(relay, port);
  await Tunnel.connected(relay, port);
  const third = await Tunnel.connected(relay, port);
  expect(third.reports).toMatchObject([{ op: "failed", where: "path", reason: "busy" }]);
  expect((await Tunnel.connected(relay, port, "localhost")).reports).toEqual([{ op: "connected" }]);
  first.socket.close();
  await vi.waitFor(async () => expect((await Tunnel.connected(relay, port)).reports).toEqual([{ op: "connected" }]));
});

it("hosts of strangers' mail have connections of their own, fewer to each", async () => {
  const relay = await start({ perHost: 2, perMx: 1 });
  const port = await origin(() => undefined);
  const mx = { verify: false };
  const connect = { op: "connect", host: "127.0.0.1", port, limit: 2_000, private: true, mx } as const;
  const [first, second] = [await Tunnel.open(relay), await Tunnel.open(relay)];
  first.say(connect);
  await vi.waitFor(() => expect(first.reports).toEqual([{ op: "connected", name: "mx.holdfast.test" }]));
  second.say(connect);
  await vi.waitFor(() => expect(second.reports).toMatchObject([{ op: "failed", where: "path", reason: "busy" }]));
  expect((await Tunnel.connected(relay, port)).reports).toEqual([{ op: "connected" }]);
});

it.each([
  ["an IPv6 address alone", { aaaa: ["0:0:0:0:0:0:0:1"] }],
  ["an IPv4 address where nobody listens, and an IPv6 address", { a: ["127.0.0.9"], aaaa: ["0:0:0:0:0:0:0:1"] }],
])("a host with %s is reached", async (_name, records) => {
  const relay = await start({ privateNames: true, nameServers: [await nameServer({ "mx.example.net": records })] });
  const server = createServer((socket) => socket.end("220 six\r\n")).listen(0, "::1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const tunnel = await Tunnel.open(relay);
  tunnel.say({ op: "connect", host: "mx.example.net", port, limit: 5_000, private: false, mx: { verify: false } });
  await vi.waitFor(() => expect(tunnel.octets.toString()).toBe("220 six\r\n"), { timeout: 5_000 });
});

describe("the octets", () => {
  it("go both ways as they are, in order, however they are cut", async () => {
    const port = await origin((socket) => socket.pipe(socket));
    const tunnel = await Tunnel.connected(await start(), port);
    const all = randomBytes(3 * TUNNEL_FRAME_BYTES);
    for (let at = 0, size = 1; at < all.length; at += size, size = Math.min(size * 3, TUNNEL_FRAME_BYTES))
      tunnel.socket.send(all.subarray(at, at + size));
    await vi.waitFor(() => expect(tunnel.octets.length).toBe(all.length));
    expect(tunnel.octets.equals(all)).toBe(true);
    const taken = tunnel.reports.reduce((sum, report) => sum + (report.op === "ack" ? report.octets : 0), 0);
    expect(taken).toBe(all.length);
  });

  it("of an origin that talks without end wait for the Worker to take them", async () => {
    const port = await origin((socket) => {
      const chunk = Buffer.alloc(64 * 1024, 97);
      const talk = () => {
        while (socket.write(chunk));
      };
      socket.on("drain", talk);
      talk();
    });
    const tunnel = await Tunnel.connected(await start(), port);
    await vi.waitFor(() => expect(tunnel.octets.length).toBeGreaterThanOrEqual(TUNNEL_WINDOW));
    const had = tunnel.octets.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(tunnel.octets.length).toBe(had);
    expect(had).toBeLessThan(TUNNEL_WINDOW + 2 * 64 * 1024);
    tunnel.say({ op: "ack", octets: TUNNEL_WINDOW });
    await vi.waitFor(() => expect(tunnel.octets.length).toBeGreaterThan(had));
  });

  it("that were sent before the Worker closes still reach the origin, then the connection ends", async () => {
    const heard: Buffer[] = [];
    let ended = false;
    const port = await origin((socket) => {
      socket.on("data", (data) => heard.push(data));
      socket.on("end", () => {
        ended = true;
      });
    });
    const tunnel = await Tunnel.connected(await start(), port);
    tunnel.socket.send(Buffer.from("QUIT\r\n"));
    tunnel.socket.close(1000);
    await vi.waitFor(() => expect(ended).toBe(true));
    expect(String(Buffer.concat(heard))).toBe("QUIT\r\n");
  });

  it("end when the origin closes: the Worker has what came before, and is told", async () => {
    const port = await origin((socket) => socket.end("221 bye\r\n"));
    const tunnel = await Tunnel.connected(await start(), port);
    await vi.waitFor(() => expect(tunnel.reports.at(-1)).toEqual({ op: "end" }));
    expect(String(tunnel.octets)).toBe("221 bye\r\n");
  });

  it("end when the connection is cut: that is the origin's failure", async () => {
    const port = await origin((socket) => setTimeout(() => socket.resetAndDestroy(), 50));
    const tunnel = await Tunnel.connected(await start(), port);
    await vi.waitFor(() =>
      expect(tunnel.reports.at(-1)).toMatchObject({ op: "failed", reason: "dropped", where: "origin" }),
    );
  });
});

describe("a Worker that says what it should not is left, and its connection is cut", () => {
  const CONNECT = { op: "connect", host: "127.0.0.1", limit: 1_000, private: true } as const;
  it.each<[string, (tunnel: Tunnel, port: number) => void]>([
    ["no JSON", (tunnel) => tunnel.say("EHLO x")],
    ["octets before a connection", (tunnel) => tunnel.socket.send(Buffer.from("x"))],
    ["TLS before a connection", (tunnel) => tunnel.say({ op: "starttls" })],
    ["a host with a path", (tunnel, port) => tunnel.say(JSON.stringify({ ...CONNECT, host: "a/b", port }))],
    ["port 0", (tunnel) => tunnel.say(JSON.stringify({ ...CONNECT, port: 0 }))],
    ["an acknowledgement of nothing", (tunnel) => tunnel.say({ op: "ack", octets: 1 })],
    [
      "connect twice",
      (tunnel, port) => {
        tunnel.say({ ...CONNECT, port });
        tunnel.say({ ...CONNECT, port });
      },
    ],
  ])("%s", async (_name, speak) => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    const open = new Set<Socket>();
    const port = await origin((socket) => {
      open.add(socket);
      socket.on("close", () => open.delete(socket));
    });
    const tunnel = await Tunnel.open(await start());
    speak(tunnel, port);
    await vi.waitFor(() => expect(tunnel.closed).toBe(1002));
    await vi.waitFor(() => expect(open.size).toBe(0));
  });

  it("more octets than the window, while the origin takes none", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    const port = await origin((socket) => socket.pause());
    const tunnel = await Tunnel.connected(await start(), port);
    const frame = Buffer.alloc(TUNNEL_FRAME_BYTES);
    // The kernel's own buffers take some megabytes first.
    for (let sent = 0; sent < 64 * 1024 * 1024 && tunnel.closed === null; sent += frame.length) {
      tunnel.socket.send(frame);
      if (sent % (1024 * 1024) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(tunnel.closed).toBe(1002));
  });
});
