/** The fields of the mail server that a domain stands in for. */
import type { Route } from "../../domain/contract.ts";
import type { OriginChange } from "../actions/origin.ts";
import type { Form } from "./form.ts";
import { Choice, Field } from "./parts.tsx";

const TLS = [
  ["implicit", "TLS from the start (465)"],
  ["starttls", "STARTTLS (587, 25)"],
  ["none", "No encryption"],
] as const;

const WAYS = [
  ["smtp", "Directly, over SMTP"],
  ["gateway", "Through the gateway"],
] as const;
const TRANSPORTS = [...WAYS, ["forward", "Forwarded by Email Routing"]] as const;

/** @param form what was sent and could not be, to be corrected; else the route as it is */
export function OriginFields({ form, route }: { form: Form | undefined; route: Route | null }) {
  const value = (name: string, now: string | undefined): string | undefined => (form ? form.text(name) : now);
  return (
    <fieldset>
      <legend>Mail server</legend>
      <div class="fields">
        <Choice
          name="transport"
          label="How mail gets there"
          value={value("transport", route?.transport) ?? "smtp"}
          options={TRANSPORTS}
        />
        <div class="field-group only-forward">
          <Field
            name="forwardDomain"
            label="Forward to the domain"
            value={value("forwardDomain", route?.forwardDomain)}
            hint="Mail for ann@ goes to ann@ there, an address verified in Email Routing. Mail for that domain must not come here."
          />
          <Choice
            name="via"
            label="What cannot be forwarded"
            value={value("via", route?.via) ?? "smtp"}
            options={WAYS}
            hint="Probes, waiting mail that is given back, and mail that forwarding fails for."
          />
        </div>
        <Field name="host" label="Host name" value={value("host", route?.host)} required />
        <Field
          name="port"
          label="Port"
          value={value("port", String(route?.port ?? 465))}
          required
          inputmode="numeric"
          hint="Port 25 can be reached through a gateway only."
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
  const transport = form.oneOf("transport", ["smtp", "gateway", "forward"]);
  return {
    transport,
    // The fields are there whatever is chosen; they mean something with one choice only.
    ...(transport === "forward" && {
      via: form.oneOf("via", ["smtp", "gateway"]),
      // A field that was emptied is not one that stays as it was.
      forwardDomain: form.text("forwardDomain") ?? "",
    }),
    host: form.text("host"),
    port: port === undefined ? undefined : readPort(port),
    tls: form.oneOf("tls", ["implicit", "starttls", "none"]),
    username: form.text("username") ?? null,
    password: form.raw("password"),
  };
}

/** What is no number becomes one that no port has, so that it is refused with the rest. */
export function readPort(text: string): number {
  return /^\d{1,5}$/.test(text) ? Number(text) : 0;
}
