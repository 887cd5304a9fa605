/** The relay port: the Worker asks for connections to origins, which it cannot open itself on port 25. HTTP(S) and WebSocket. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { QUIT_TIMEOUT, RELAY_CONNECTIONS, RELAY_CONNECTIONS_PER_HOST, TUNNEL_FRAME_BYTES } from "../core/limits.ts";
import { MAX_TEXT_FRAME } from "../core/protocol/gateway/frames.ts";
import { MX_PATH } from "../core/protocol/gateway/mx-answer.ts";
import { NonceMemory, verifyRequest } from "../core/protocol/gateway/signature.ts";
import { RELAY_HEALTH_PATH, RELAY_PATH } from "../core/protocol/gateway/tunnel.ts";
import { MX_CONNECTIONS_PER_HOST } from "../core/send/limits.ts";
import type { Configuration } from "./configuration.ts";
import { HostCount } from "./host-count.ts";
import { mxFinder } from "./mx-finder.ts";
import type { PolicyServer } from "./sts-policies.ts";
import { serveTunnel } from "./tunnel.ts";

export interface RelayPort {
  readonly host: string;
  readonly port: number;
  /** No new connections; those that are open are cut: the Worker knows how to go on. */
  close(): Promise<void>;
}

/** A request that says nothing for this long is none. */
const REQUEST_TIMEOUT = 10_000;

/** Caps that tests try with less patience than an operator has. */
export interface RelayLimits {
  /** Connections to origins at once, in all and to one host. */
  readonly connections: number;
  readonly connectionsPerHost: number;
  /** The same, where the host takes a stranger's mail. */
  readonly connectionsPerMx: number;
  /** Where MTA-STS policies are fetched. */
  readonly policies?: Pick<PolicyServer, "port" | "ca">;
}

const LIMITS: RelayLimits = {
  connections: RELAY_CONNECTIONS,
  connectionsPerHost: RELAY_CONNECTIONS_PER_HOST,
  connectionsPerMx: MX_CONNECTIONS_PER_HOST,
};

export async function listenRelay(configuration: Configuration, limits: RelayLimits = LIMITS): Promise<RelayPort> {
  const { relay, tls, secrets } = configuration;
  const { connections: most, connectionsPerHost, connectionsPerMx, policies = {} } = limits;
  if (!relay) throw new Error("the relay has no port");
  const { privateNames } = relay;
  const nameServers = relay.nameServers.length > 0 ? relay.nameServers : undefined;
  const nonces = new NonceMemory();
  const tunnels = {
    privateNames,
    name: configuration.hostname,
    hosts: new HostCount(connectionsPerHost),
    mxHosts: new HostCount(connectionsPerMx),
    ...(nameServers ? { nameServers } : {}),
  };
  const findMx = mxFinder(configuration.hostname, relay, policies);
  const open = new Set<WebSocket>();
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: Math.max(MAX_TEXT_FRAME, TUNNEL_FRAME_BYTES),
  });

  const patience = {
    requestTimeout: REQUEST_TIMEOUT,
    headersTimeout: REQUEST_TIMEOUT,
    connectionsCheckingInterval: REQUEST_TIMEOUT / 2,
  };
  const server: Server =
    relay.tls && tls
      ? createTlsServer({ ...patience, cert: tls.cert, key: tls.key, handshakeTimeout: REQUEST_TIMEOUT })
      : createServer(patience);
  server.on("request", async (request, response) => {
    const url = URL.parse(request.url ?? "", "http://gateway");
    const domain = url?.pathname === MX_PATH ? url.searchParams.get("domain") : null;
    const known = request.method === "GET" && (request.url === RELAY_HEALTH_PATH || domain !== null);
    const allowed = known && (await verified(request));
    const status = !known ? 404 : allowed ? 200 : 401;
    const health = () => ({ status: "ok", connections: open.size, most });
    const body = !allowed ? { status } : domain === null ? health() : await findMx(domain);
    response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
  });
  server.on("upgrade", async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    if (request.url !== RELAY_PATH) return refuse(socket, "404 Not Found");
    if (!(await verified(request))) return refuse(socket, "401 Unauthorized");
    if (open.size >= most) return refuse(socket, "503 Service Unavailable");
    sockets.handleUpgrade(request, socket, head, (upgraded) => {
      open.add(upgraded);
      upgraded.on("close", () => open.delete(upgraded));
      serveTunnel(upgraded, tunnels);
    });
  });
  server.on("error", (error) => console.error(`relay port: ${error.message}`));

  async function verified({ method = "", url = "", headers }: IncomingMessage): Promise<boolean> {
    const authorization = headers.authorization ?? null;
    const result = await verifyRequest(secrets, { method, path: url }, authorization, Date.now(), nonces);
    if (!result.ok) console.error(`relay port: a request was not the Worker's: ${result.error}`);
    return result.ok;
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(relay.port, relay.host, () => resolve());
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) {
          socket.close(1001, "the gateway is stopping");
          // A Worker that does not answer must not hold the end of the process up.
          setTimeout(() => socket.terminate(), QUIT_TIMEOUT).unref();
        }
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Whoever was refused might hold the connection open for ever: after an upgrade the HTTP server does not look at it. */
function refuse(socket: Duplex, status: string): void {
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
}
