/** An organisation whose mail Email Routing forwards, and what is reached by forward() only. */
import { onTestFinished } from "vitest";
import { MAX_BUFFERED_BYTES } from "../../../src/core/limits.ts";
import {
  createOrganisation,
  kept,
  letter,
  must,
  type Organisation,
  objectsInStore,
  sendByEmailRouting,
} from "./organisation.ts";

export const DOMAIN = "forward.example";
export const INSIDE = "inside.forward.example";
export let organisation: Organisation;
export const at = (local: string) => `${local}@${DOMAIN}`;
export const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });

/** Before the tests of a file. */
export async function createForwarding(): Promise<void> {
  organisation = await createOrganisation(DOMAIN, { transport: "forward", via: "smtp", forwardDomain: INSIDE });
}

/** Before each test. */
export async function allIsWell(): Promise<void> {
  await organisation.origin.set({});
  await mode("normal");
}

/** The origin's SMTP server is down until the test has ended. */
export async function unreachable(): Promise<void> {
  await organisation.origin.stop();
  onTestFinished(() => organisation.origin.start());
}

/** The destination's server, reached by forward() only. */
export class Destination {
  readonly forwarded: { to: string; headers: Headers | undefined }[] = [];
  readonly #says: () => Promise<unknown>;

  constructor(says: () => Promise<unknown> = async () => null) {
    this.#says = says;
  }

  forward = async (to: string, headers?: Headers): Promise<EmailSendResult> => {
    this.forwarded.push({ to, headers });
    return (await this.#says()) as EmailSendResult;
  };
}

export const UNVERIFIED = "destination address not verified";
export const refusing = (why: string) => new Destination(() => Promise.reject(new Error(why)));

/** More than is buffered. */
export const large = () => letter({}, `${"0123456789".repeat(7)}\r\n`.repeat(MAX_BUFFERED_BYTES / 64));

/** Sends one letter through Email Routing and says what came of it. */
export async function outcomeOf(to: string, destination = new Destination(), octets = letter(), canBeForwarded = true) {
  const before = {
    kept: await kept(DOMAIN),
    origin: (await organisation.origin.messages()).length,
    objects: await objectsInStore(),
  };
  const { forward } = destination;
  const answer = await sendByEmailRouting(to, octets, "somebody@example.net", { forward, canBeForwarded });
  return {
    answer,
    octets,
    forwarded: destination.forwarded.map((one) => one.to),
    origin: (await organisation.origin.messages()).slice(before.origin).filter((message) => message.accepted),
    news: (await kept(DOMAIN)).slice(before.kept.length),
    objects: (await objectsInStore()) - before.objects,
  };
}
