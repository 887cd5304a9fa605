/** By which way a domain's mail goes to others. */
import type { OutgoingRoute } from "../../../send/contract.ts";
import type { DomainRow } from "../../../store/domains.ts";
import type { OutgoingChange } from "../../actions/outgoing.ts";
import type { Problem } from "../../problem.ts";
import type { Form } from "../form.ts";
import { readPort } from "../origin-fields.tsx";
import { Choice, Field, ProblemNotice } from "../parts.tsx";

const WAYS = [
  ["none", "Not at all: only to colleagues"],
  ["smarthost", "Through a smart host"],
  ["gateway", "Through the gateway, straight to the recipients' servers"],
  ["cloudflare", "By Cloudflare's Email Service"],
] as const;

const TLS = [
  ["implicit", "TLS from the start (465)"],
  ["starttls", "STARTTLS (587, 2525)"],
  ["none", "No encryption"],
] as const;

const MEANS: Record<OutgoingRoute["transport"] | "none", string> = {
  none: "People can write to colleagues only; mail to other domains is not taken.",
  smarthost: "A server that takes your mail for anybody sends it on.",
  gateway: "It goes straight to the recipients' mail servers. Your SPF record must name the gateway's addresses.",
  cloudflare: "The domain must be onboarded there. At most 5 MiB and 50 recipients a message.",
};

export interface WayProps {
  readonly domain: DomainRow;
  /** What was sent and could not be, to be corrected. */
  readonly form: Form | undefined;
  readonly problem: Problem | undefined;
}

export function Way({ domain, form, problem }: WayProps) {
  const { route } = domain.outgoing;
  const host = route?.transport === "smarthost" ? route : null;
  const value = (name: string, now: string | undefined): string | undefined => (form ? form.text(name) : now);
  return (
    <section class="card" aria-labelledby="way">
      <h2 id="way">The way out</h2>
      <p>
        {MEANS[route?.transport ?? "none"]}
        {host && ` Now: ${host.host}, port ${host.port}.`}
      </p>
      <details open={problem !== undefined}>
        <summary>Change</summary>
        <ProblemNotice problem={problem} />
        <form method="post" action={`/panel/domains/${domain.name}/outgoing#way`}>
          <div class="fields">
            <Choice
              name="transport"
              label="How mail goes to other domains"
              value={value("transport", route?.transport) ?? "none"}
              options={WAYS}
            />
            <div class="field-group only-smarthost">
              <Field name="host" label="Smart host" value={value("host", host?.host)} />
              <Field
                name="port"
                label="Port"
                value={value("port", String(host?.port ?? 465))}
                inputmode="numeric"
                hint="465, 587 or 2525; never 25."
              />
              <Choice name="tls" label="Encryption" value={value("tls", host?.tls) ?? "implicit"} options={TLS} />
              <Field name="username" label="Username" value={value("username", host?.username)} />
              <Field
                name="password"
                label="Password of the smart host"
                type="password"
                autocomplete="new-password"
                hint={host?.passwordEncrypted ? "Leave empty to keep the one that is stored." : "Stored encrypted."}
              />
            </div>
          </div>
          <button class="main" type="submit">
            Save
          </button>
        </form>
      </details>
    </section>
  );
}

export function wayOf(form: Form): OutgoingChange {
  const transport = form.oneOf("transport", ["none", "smarthost", "gateway", "cloudflare"]);
  if (transport !== "smarthost") return { transport };
  const port = form.text("port");
  return {
    transport,
    host: form.text("host"),
    port: port === undefined ? undefined : readPort(port),
    tls: form.oneOf("tls", ["implicit", "starttls", "none"]),
    username: form.text("username") ?? null,
    password: form.raw("password"),
  };
}
