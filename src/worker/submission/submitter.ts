/** Who speaks on a submission port, as of now: whatever was taken back since the login is gone. */
import { rangesOf } from "../../core/ip-range.ts";
import type { Submitter as Shown } from "../../core/protocol/gateway/frames.ts";
import type { Env } from "../env.ts";
import type { User } from "../identity/principal.ts";
import { directory } from "../store/directory.ts";
import { findMailboxById } from "../store/mailboxes.ts";
import { findRelay, findRelaysOf, type KnownRelay } from "../store/relays.ts";
import { findLogins } from "../store/sessions.ts";
import { readTicket, stampOf, type Ticket } from "./ticket.ts";

export type Submitter =
  | { readonly kind: "person"; readonly user: User }
  /** One, or several that share an address: whose a message is, its sender says. */
  | { readonly kind: "server"; readonly relays: readonly [KnownRelay, ...KnownRelay[]] };

/**
 * A login counts for more than an address: whoever has logged in is nobody else.
 * @param ip of the client
 * @param now unix milliseconds
 * @returns null: a stranger
 * @throws where the directory does not answer
 */
export async function submitterOf(env: Env, shown: Shown, ip: string, now: number): Promise<Submitter | null> {
  if (shown.ticket !== undefined) {
    const ticket = await readTicket(env, shown.ticket, now);
    return ticket && ofTicket(env, ticket);
  }
  const [first, ...others] = await findRelaysOf(directory(env), rangesOf(ip), shown.certificate);
  return first ? { kind: "server", relays: [first, ...others] } : null;
}

async function ofTicket(env: Env, ticket: Ticket): Promise<Submitter | null> {
  const db = directory(env);
  if (ticket.kind === "relay") {
    const relay = await findRelay(db, ticket.id);
    const still = relay?.hash && (await stampOf(relay.hash)) === ticket.stamp;
    return relay && still ? { kind: "server", relays: [relay] } : null;
  }
  for (const login of await findLogins(db, ticket.login)) {
    if (login.kind !== "mailbox" || (await stampOf(login.password)) !== ticket.stamp) continue;
    const box = await findMailboxById(db, login.mailbox);
    if (!box) return null;
    const { id: mailbox, domain, shard, address: name } = box;
    return { kind: "person", user: { kind: "user", name, mailbox, domain, shard } };
  }
  return null;
}
