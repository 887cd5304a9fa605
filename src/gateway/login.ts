/** Asks the Worker whether a login is good. */
import { createHash, randomBytes } from "node:crypto";
import { LOGIN_PATH, type Login, type LoginAnswer, readLoginAnswer } from "../core/protocol/gateway/login.ts";
import { signRequest } from "../core/protocol/gateway/signature.ts";
import { LOGIN_TIMEOUT } from "../core/send/limits.ts";
import type { WorkerLink } from "./worker-link.ts";

/** Never rejects: where nobody can say, it is a temporary failure (RFC 4954 §6). */
export async function logIn(link: WorkerLink, login: Login): Promise<LoginAnswer> {
  try {
    return await ask(link, login);
  } catch (error) {
    console.error(`a login could not be looked at: ${(error as Error).message}`);
    return {
      kind: "refused",
      code: 454,
      enhanced: "4.7.0",
      text: "Logins cannot be looked at now, please try again later",
    };
  }
}

async function ask({ worker, secrets }: WorkerLink, login: Login): Promise<LoginAnswer> {
  const body = JSON.stringify(login);
  const bodyHash = createHash("sha256").update(body).digest("hex");
  const request = { method: "POST", path: LOGIN_PATH, bodyHash };
  const nonce = randomBytes(18).toString("base64url");
  const authorization = await signRequest(secrets[0], request, Date.now(), nonce);
  const response = await fetch(new URL(LOGIN_PATH, worker), {
    method: "POST",
    body,
    headers: { authorization, "content-type": "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(LOGIN_TIMEOUT),
  });
  if (response.status !== 200) throw new Error(`the Worker answered ${response.status}`);
  const answer = readLoginAnswer(await response.text());
  if (!answer.ok) throw new Error(`the Worker said something unexpected: ${answer.error}`);
  return answer.value;
}
