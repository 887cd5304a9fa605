/** The fields of the mail server that a domain stands in for. */
import type { Route } from "../../domain/contract.ts";
import type { OriginChange } from "../actions/origin.ts";
import type { Form } from "./form.ts";
import { Choice, Field } from "./parts.tsx";

const TLS = [
  ["implicit", "TLS from the start (465)"],
  ["starttls", "STARTTLS (587)"],
  ["none", "No encryption"],
] as const;

/** @param form what was sent and could not be, to be corrected; else the route as it is */
export function OriginFields({ form, route }: { form: Form | undefined; route: Route | null }) {
  const value = (name: string, now: string | undefined): string | undefined => (form ? form.text(name) : now);
  return (
    <fieldset>
      <legend>Mail server</legend>
      <div class="fields">
        <Field name="host" label="Host name" value={value("host", route?.host)} required />
        <Field
          name="port"
          label="Port"
          value={value("port", String(route?.port ?? 465))}
          required
          inputmode="numeric"
          hint="Any but 25, which Cloudflare Workers cannot open."
        />
        <Choice name="tls" label="Encryption" value={value("tls", route?.tls) ?? "implicit"} options={TLS} />
        <Field
          name="username"
          label="Username"
          value={value("username", route?.username)}
          hint="Only if it asks for one."
        />
        <Field
          name="password"
          label="Password of the mail server"
          type="password"
          autocomplete="new-password"
          hint={route?.passwordEncrypted ? "Leave empty to keep the one that is stored." : "Stored encrypted."}
        />
      </div>
    </fieldset>
  );
}

export function originOf(form: Form): OriginChange {
  const port = form.text("port");
  return {
    transport: "smtp",
    host: form.text("host"),
    port: port === undefined ? undefined : readPort(port),
    tls: form.oneOf("tls", ["implicit", "starttls", "none"]),
    username: form.text("username") ?? null,
    password: form.raw("password"),
  };
}

/** What is no number becomes one that no port has, so that it is refused with the rest. */
function readPort(text: string): number {
  return /^\d{1,5}$/.test(text) ? Number(text) : 0;
}
