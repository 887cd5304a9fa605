/** The service that is reindexed, over its API. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ReindexSettings } from "./options.ts";

/** A step as POST /api/reindex answers it. */
export interface StepAnswer {
  readonly cursor: string | null;
  /** Milliseconds. */
  readonly wait: number;
  /** RFC 3339. */
  readonly at: string | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly problems: readonly { readonly kind: string; readonly key: string; readonly detail: string }[];
  readonly problemCount: number;
}

/** What the person can do something about; its message is a sentence for them. */
export class ReindexError extends Error {
  override readonly name = "ReindexError";
}

/** The Worker gives an answer within 20 s; the rest is the way there and back. */
const ANSWER_LIMIT = 60_000;
/** Milliseconds between tries of a step that failed; over two minutes in all, in which a service can be started again. */
const PAUSES = [1_000, 2_000, 5_000, 10_000, 30_000, 30_000, 60_000];

export class ReindexedService {
  readonly url: string;
  readonly #token: string;
  readonly #say: (line: string) => void;

  private constructor(url: string, token: string, say: (line: string) => void) {
    this.url = url;
    this.#token = token;
    this.#say = say;
  }

  /** @throws ReindexError */
  static async open(settings: ReindexSettings, say: (line: string) => void): Promise<ReindexedService> {
    const url = settings.url ?? localUrl(settings.state);
    return new ReindexedService(url, settings.token ?? (await signIn(url, settings)), say);
  }

  /** Tried again where the service does not answer. @throws ReindexError */
  async step(body: object, signal: AbortSignal): Promise<StepAnswer> {
    for (let tries = 0; ; tries++) {
      const failure = await this.#attempt(body, signal);
      if ("answer" in failure) return failure.answer;
      const rest = PAUSES[tries];
      if (!failure.again || rest === undefined) throw new ReindexError(failure.why);
      this.#say(`${failure.why}; the step is tried again in ${rest / 1000} s`);
      await pause(rest, undefined, { signal });
    }
  }

  async #attempt(
    body: object,
    signal: AbortSignal,
  ): Promise<{ readonly answer: StepAnswer } | { readonly why: string; readonly again: boolean }> {
    const answer = await ask(this.url, "/api/reindex", body, this.#token, signal);
    signal.throwIfAborted();
    if (answer.status === 200) return { answer: answer.body as unknown as StepAnswer };
    if (answer.status === 401) {
      return { why: "The token is not an operator's: see --token and HOLDFAST_OPERATOR_TOKEN.", again: false };
    }
    return { why: answer.detail, again: answer.status === 0 || answer.status >= 500 };
  }
}

function localUrl(state: string): string {
  try {
    const { http } = JSON.parse(readFileSync(join(state, "addresses.json"), "utf8")) as { http: string };
    return http;
  } catch {
    throw new ReindexError(
      `No service runs with the state in ${state}: start it with npm start, set HOLDFAST_STATE, or name one with --url.`,
    );
  }
}

async function signIn(url: string, { email, password }: ReindexSettings): Promise<string> {
  if (password === null) {
    throw new ReindexError(
      "Say who you are: HOLDFAST_OPERATOR_TOKEN or --token, or HOLDFAST_OPERATOR_EMAIL and HOLDFAST_OPERATOR_PASSWORD.",
    );
  }
  const answer = await ask(url, "/api/session", { email, password }, null, null);
  const { token } = answer.body as { token?: unknown };
  if (answer.status === 200 && typeof token === "string") return token;
  throw new ReindexError(answer.status === 401 ? `${email} could not be signed in: wrong password.` : answer.detail);
}

/** Never rejects: status 0 is a service that did not answer. */
async function ask(url: string, path: string, body: object, token: string | null, signal: AbortSignal | null) {
  const late = AbortSignal.timeout(ANSWER_LIMIT);
  try {
    const response = await fetch(new URL(path, url), {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late]) : late,
    });
    const answer = parse(await response.text());
    const detail = typeof answer.detail === "string" ? answer.detail : `${url} answered ${response.status}`;
    return { status: response.status, body: answer, detail };
  } catch (error) {
    const cause = (error as Error).cause;
    const why = cause instanceof Error ? cause.message : (error as Error).message;
    return { status: 0, body: {}, detail: `${url} does not answer: ${why}` };
  }
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return {}; // some proxy's page: its status says enough
  }
}
