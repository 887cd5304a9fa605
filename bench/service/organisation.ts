/** An organisation on a service of the benchmark's own: a domain, people, a mode. */
import { Service } from "../../src/local/demo/service.ts";
import { DOMAIN, MAILBOXES } from "../failback/mail.ts";

const TOKEN = "operator-token-of-the-benchmark";
/** Nobody is asked there in emergency mode. */
export const DISCARD_PORT = 9;

/** Who connects to the other server. */
export type Via = "worker" | "gateway";
/** What a gateway needs to be told to connect to this machine by a name. */
export const TO_PRIVATE_NAMES = { HOLDFAST_RELAY_PRIVATE_NAMES: "allow" } as const;

export interface Backlog {
  readonly waiting: number;
  readonly refused: number;
}

export class Organisation {
  readonly service: Service;

  private constructor(service: Service) {
    this.service = service;
  }

  /** @param state a folder: an empty one, or one of an organisation that was stopped */
  static async start(state: string, settings: Readonly<Record<string, string>> = {}): Promise<Organisation> {
    return new Organisation(await Service.start(state, TOKEN, { settings }));
  }

  async setUp(): Promise<void> {
    await this.route(DISCARD_PORT);
    for (const mailbox of MAILBOXES) await this.service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${mailbox}`, {});
  }

  async route(port: number, via: Via = "worker"): Promise<void> {
    await this.service.call("PUT", `/api/domains/${DOMAIN}`, {
      continuity: true,
      coverage: "all",
      switching: "manual",
      origin: { transport: via === "worker" ? "smtp" : "gateway", host: "127.0.0.1", port, tls: "none" },
    });
  }

  async mode(mode: "normal" | "emergency"): Promise<void> {
    await this.service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
  }

  async backlog(): Promise<Backlog> {
    return (await this.service.call<{ backlog: Backlog }>("GET", `/api/domains/${DOMAIN}`)).backlog;
  }

  stop(): Promise<void> {
    return this.service.stop();
  }
}
