/** One connection to an origin for the Worker, as core/protocol/gateway/tunnel.ts has it. */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import {
  QUIT_TIMEOUT,
  TUNNEL_ADDRESS_TIMEOUT,
  TUNNEL_ALIVE,
  TUNNEL_FRAME_BYTES,
  TUNNEL_IDLE_TIMEOUT,
  TUNNEL_WINDOW,
} from "../core/limits.ts";
import {
  type ConnectFrame,
  readTunnelRequest,
  type TunnelReport,
  type TunnelRequest,
  writeTunnelFrame,
} from "../core/protocol/gateway/tunnel.ts";
import { anyLookup, failureOf, isPublic, namedLookup, publicLookup, refusal } from "./destination.ts";
import type { HostCount } from "./host-count.ts";

export interface TunnelOptions {
  /** Names may resolve to private addresses: the gateway stands in the origin's own network. */
  readonly privateNames: boolean;
  /** Shared by all tunnels of the gateway: connections to origins, and to hosts that take strangers' mail. */
  readonly hosts: HostCount;
  readonly mxHosts: HostCount;
  /** Name servers with their ports; absent: those of the machine. */
  readonly nameServers?: readonly string[];
  /** Our own name. */
  readonly name: string;
  /** Milliseconds without a frame from the Worker. */
  readonly idle?: number;
}

/** Takes the WebSocket over; all ends with it. */
export function serveTunnel(socket: WebSocket, options: TunnelOptions): void {
  new Tunnel(socket, options).begin();
}

class Tunnel {
  readonly #worker: WebSocket;
  readonly #options: TunnelOptions;
  readonly #alive: NodeJS.Timeout;
  readonly #idle: NodeJS.Timeout;
  #origin: Socket | null = null;
  #host = "";
  #verify = true;
  /** Octets may go both ways. */
  #open = false;
  /** The origin has ended or failed; the Worker was told. */
  #over = false;
  /** Octets that the origin's socket has not taken yet. */
  #toOrigin = 0;
  /** Octets that the Worker has not acknowledged yet. */
  #toWorker = 0;

  constructor(worker: WebSocket, options: TunnelOptions) {
    this.#worker = worker;
    this.#options = options;
    this.#alive = setInterval(() => this.#tell({ op: "alive" }), TUNNEL_ALIVE);
    this.#idle = setTimeout(() => worker.close(1001, "idle"), options.idle ?? TUNNEL_IDLE_TIMEOUT);
  }

  begin(): void {
    this.#worker.on("message", (data: Buffer, binary) => {
      this.#idle.refresh();
      if (binary) this.#octets(data);
      else this.#request(data.toString());
    });
    this.#worker.on("error", () => this.#worker.terminate());
    this.#worker.on("close", () => this.#leave());
  }

  #request(text: string): void {
    const read = readTunnelRequest(text);
    if (read.ok) this.#serve(read.value);
    else this.#protest(read.error);
  }

  #serve(request: TunnelRequest): void {
    switch (request.op) {
      case "connect":
        if (this.#origin) this.#protest("connect twice");
        else this.#connect(request);
        break;
      case "starttls":
        if (this.#origin && this.#open) this.#secure(this.#origin);
        else if (!this.#over) this.#protest("starttls without a connection");
        break;
      case "ack":
        this.#toWorker -= request.octets;
        if (this.#toWorker < 0) this.#protest("more acknowledged than sent");
        else if (this.#toWorker < TUNNEL_WINDOW) this.#origin?.resume();
        break;
    }
  }

  #connect({ host, port, limit, private: isPrivate, mx }: ConnectFrame): void {
    const { privateNames, nameServers } = this.#options;
    const hosts = mx ? this.#options.mxHosts : this.#options.hosts;
    this.#host = host;
    this.#verify = mx?.verify ?? true;
    const anywhere = isPrivate || privateNames;
    if (!anywhere && !isPublic(host)) {
      this.#end(failureOf(refusal(host), "no_connection"));
      return;
    }
    const leave = hosts.enter(host);
    if (!leave) {
      const detail = `no more than ${hosts.most} connections to ${host} at once`;
      this.#end({ op: "failed", where: "path", reason: "busy", detail });
      return;
    }
    let found = isIP(host) !== 0;
    const named = nameServers ? namedLookup(nameServers) : anyLookup;
    const lookup = anywhere ? named : publicLookup(nameServers);
    const origin = connect({
      host,
      port,
      noDelay: true,
      autoSelectFamilyAttemptTimeout: TUNNEL_ADDRESS_TIMEOUT,
      lookup: (name, options, callback) =>
        lookup(name, options, (error, ...addresses) => {
          found = error === null;
          callback(error, ...addresses);
        }),
    });
    this.#origin = origin;
    this.#worker.once("close", leave);
    const late = setTimeout(() => {
      origin.destroy();
      // Whoever has not even heard the address knows nothing of the server there.
      const where = found ? "origin" : "path";
      const detail = found ? `no connection within ${limit} ms` : `no answer of a name server within ${limit} ms`;
      this.#end({ op: "failed", where, reason: "timeout", detail });
    }, limit);
    const failed = (error: Error) => {
      clearTimeout(late);
      this.#end(failureOf(error, "no_connection"));
    };
    origin.once("error", failed);
    origin.once("close", () => clearTimeout(late));
    origin.once("connect", () => {
      clearTimeout(late);
      origin.off("error", failed);
      this.#tell({ op: "connected", ...(mx ? { name: this.#options.name } : {}) });
      this.#carry(origin);
    });
  }

  /** RFC 3207: from here on what the origin says in clear text is for the handshake, and no answer. */
  #secure(clear: Socket): void {
    this.#open = false;
    clear.removeAllListeners();
    const secure = connectTls({
      socket: clear,
      host: this.#host,
      // RFC 6066 §3: an address is no server name.
      ...(isIP(this.#host) ? {} : { servername: this.#host }),
      minVersion: "TLSv1.2",
      // RFC 7435: a certificate that nobody asked to be verified keeps the mail from no one; in clear text it would be worse off.
      rejectUnauthorized: this.#verify,
    });
    this.#origin = secure;
    const failed = (error: Error) => this.#end(failureOf(error, "tls"));
    secure.once("error", failed);
    secure.once("secureConnect", () => {
      secure.off("error", failed);
      this.#tell({ op: "secured" });
      this.#carry(secure);
    });
  }

  #carry(origin: Socket): void {
    this.#open = true;
    origin.on("data", (data: Buffer) => {
      for (let at = 0; at < data.length; at += TUNNEL_FRAME_BYTES) {
        this.#worker.send(data.subarray(at, at + TUNNEL_FRAME_BYTES), { binary: true });
      }
      this.#toWorker += data.length;
      if (this.#toWorker >= TUNNEL_WINDOW) origin.pause();
    });
    origin.once("end", () => this.#end({ op: "end" }));
    origin.on("error", (error) => this.#end(failureOf(error, "dropped")));
    origin.once("close", () => this.#end({ op: "end" }));
  }

  #octets(data: Buffer): void {
    if (this.#over) return; // under way when the origin left
    const origin = this.#origin;
    this.#toOrigin += data.length;
    if (!origin || !this.#open) {
      this.#protest("octets without a connection");
    } else if (data.length > TUNNEL_FRAME_BYTES || this.#toOrigin > TUNNEL_WINDOW) {
      this.#protest("more than the window");
    } else {
      origin.write(data, (error) => {
        if (error || data.length === 0) return; // `error` of the socket tells it
        this.#toOrigin -= data.length;
        this.#tell({ op: "ack", octets: data.length });
      });
    }
  }

  /** The origin is through; the Worker closes when it has read all. */
  #end(report: TunnelReport): void {
    if (this.#over) return;
    this.#over = true;
    this.#open = false;
    this.#tell(report);
  }

  #protest(why: string): void {
    console.error(`relay: the Worker said something unexpected: ${why}`);
    this.#worker.close(1002, why.slice(0, 100));
    this.#leave();
  }

  /** What was written goes out still, QUIT among it; then the connection is cut. */
  #leave(): void {
    clearInterval(this.#alive);
    clearTimeout(this.#idle);
    this.#over = true;
    const origin = this.#origin;
    if (!origin || origin.destroyed) return;
    origin.removeAllListeners();
    origin.on("error", () => origin.destroy());
    origin.resume();
    if (!this.#open) {
      origin.destroy();
      return;
    }
    origin.end();
    setTimeout(() => origin.destroy(), QUIT_TIMEOUT).unref();
  }

  #tell(report: TunnelReport): void {
    if (this.#worker.readyState === WebSocket.OPEN) this.#worker.send(writeTunnelFrame(report));
  }
}
