/** A login on a submission port: a person's, with the password of their mailbox, or that of a customer's own server. */
import type { Login, LoginAnswer } from "../../core/protocol/gateway/login.ts";
import type { Env } from "../env.ts";
import { SECRET_LENGTH, sha256 } from "../identity/random-secret.ts";
import { signIn } from "../identity/sign-in.ts";
import { SignInThrottle } from "../identity/throttle.ts";
import { directory } from "../store/directory.ts";
import { findRelayLogin } from "../store/relays.ts";
import { findLogins } from "../store/sessions.ts";
import { stampOf, writeTicket } from "./ticket.ts";

/** What relays' login names look like (access/actions/relays.ts makes them). */
export const RELAY_LOGIN = /^relay-[a-z2-7]{8}@/;

const refused = (code: number, enhanced: string, text: string): LoginAnswer => ({
  kind: "refused",
  code,
  enhanced,
  text,
});
const wrong = refused(535, "5.7.8", "Wrong login name or password");
const later = refused(454, "4.7.0", "Logins cannot be looked at now, please try again later");
const throttled = (seconds: number) => refused(454, "4.7.0", `Too many wrong passwords, try again in ${seconds} s`);

/** @param now unix milliseconds. Never rejects */
export async function logIn(env: Env, login: Login, now: number): Promise<LoginAnswer> {
  try {
    const name = login.username.trim().toLowerCase();
    return RELAY_LOGIN.test(name) ? await relayLogin(env, name, login, now) : await personLogin(env, login, now);
  } catch (error) {
    console.error("a login on a submission port could not be looked at", String(error));
    return later;
  }
}

/** Of this isolate. 160 random bits are not guessed: it is the directory that is not to be asked in vain. */
const throttle = new SignInThrottle();

async function relayLogin(env: Env, name: string, { password, ip }: Login, now: number): Promise<LoginAnswer> {
  const wait = throttle.wait(name, ip, now);
  if (wait > 0) return throttled(Math.ceil(wait / 1000));
  const relay = await findRelayLogin(directory(env), name);
  const given = await sha256(password.slice(0, SECRET_LENGTH + 1));
  // Digests are compared: time tells nothing of use.
  if (!relay?.hash || relay.hash !== given) {
    throttle.failed(name, ip, now);
    return wrong;
  }
  throttle.succeeded(name, ip);
  const ticket = await writeTicket(env, { kind: "relay", id: relay.id, stamp: await stampOf(relay.hash) }, now);
  return { kind: "known", ticket };
}

async function personLogin(env: Env, { username, password, ip }: Login, now: number): Promise<LoginAnswer> {
  const signedIn = await signIn(env, username, password, ip, now);
  if (!signedIn.ok) return signedIn.error.reason === "wrong" ? wrong : throttled(signedIn.error.retryAfter);
  const principal = signedIn.value;
  // Administrators and operators have no mailbox to send from.
  if (principal.kind !== "user") return wrong;
  const logins = await findLogins(directory(env), principal.name);
  const stored = logins.find((one) => one.kind === "mailbox" && one.mailbox === principal.mailbox);
  if (!stored) return wrong;
  const stamp = await stampOf(stored.password);
  return { kind: "known", ticket: await writeTicket(env, { kind: "mailbox", login: principal.name, stamp }, now) };
}
