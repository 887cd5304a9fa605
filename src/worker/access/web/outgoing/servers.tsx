/** The domain's own servers: those that send through us, and the addresses to which they bring copies. */
import type { JournalRow } from "../../../store/journal-addresses.ts";
import type { RelayRow } from "../../../store/relays.ts";
import type { MadeJournal, NewJournal } from "../../actions/journal.ts";
import type { MadeRelay, NewRelay } from "../../actions/relays.ts";
import type { Problem } from "../../problem.ts";
import type { Form } from "../form.ts";
import { Choice, Field, ProblemNotice, ShortTime } from "../parts.tsx";

interface Props<Row, Made> {
  readonly path: string;
  readonly rows: readonly Row[];
  /** What was made just now, with what is shown once. */
  readonly made: Made | undefined;
  readonly form: Form | undefined;
  readonly problem: Problem | undefined;
}

const KINDS = [
  ["login", "A username and a password, made here"],
  ["address", "Its IP address"],
  ["certificate", "Its TLS certificate"],
] as const;

const KNOWN: Record<RelayRow["kind"], string> = { login: "login", address: "address", certificate: "certificate" };

export function Relays({ path, rows, made, form, problem }: Props<RelayRow, MadeRelay>) {
  return (
    <section class="card" aria-labelledby="relays">
      <h2 id="relays">Servers that send through Holdfast</h2>
      <p class="hint">
        Your mail server may send its mail through the gateway's submission ports. Then it is in the archive, and goes
        out the way above.
      </p>
      {made && <MadeLogin made={made} />}
      {rows.length === 0 && <p class="empty">No server may.</p>}
      {rows.length > 0 && (
        <ul class="rows rows-inner">
          {rows.map(({ id, kind, value, label, senders, actor, createdAt }) => (
            <li class="queued">
              <p class="row-name">{label || value}</p>
              <p class="hint">
                Known by its {KNOWN[kind]}
                {label && ` ${value}`} · sends for {senders.join(", ")} · <ShortTime at={createdAt} /> · {actor}
              </p>
              <Remove
                action={`${path}/relays/${id}/remove#relays`}
                what={label || value}
                means="It may send no more, at once."
              />
            </li>
          ))}
        </ul>
      )}
      <details open={problem !== undefined}>
        <summary>Let a server send</summary>
        <ProblemNotice problem={problem} />
        <form method="post" action={`${path}/relays#relays`}>
          <div class="fields">
            <Choice name="kind" label="How it is known" value={form?.text("kind") ?? "login"} options={KINDS} />
            <Field
              name="value"
              label="Address or certificate"
              value={form?.text("value")}
              hint="An address, a range such as 192.0.2.0/28, or the certificate's SHA-256 fingerprint. Not for a login."
            />
            <Field
              name="senders"
              label="Further domains that it sends for"
              value={form?.text("senders")}
              hint="Domains of yours, separated by spaces."
            />
            <Field name="relay-label" label="What you call it" value={form?.text("relay-label")} />
          </div>
          <button type="submit">Let it send</button>
        </form>
      </details>
    </section>
  );
}

function MadeLogin({ made }: { made: MadeRelay }) {
  if (made.password === undefined) return null;
  return (
    <div class="notice notice-done" role="status">
      <p>Give your server this login now. The password is not shown again.</p>
      <dl class="record">
        <dt>Username</dt>
        <dd>{made.value}</dd>
        <dt>Password</dt>
        <dd>{made.password}</dd>
      </dl>
    </div>
  );
}

const FORMATS = [
  ["reports", "Journal reports (Exchange, Microsoft 365)"],
  ["copies", "Copies of messages (Google Workspace, Postfix)"],
] as const;

export function Journals({ path, rows, made, form, problem }: Props<JournalRow, MadeJournal>) {
  return (
    <section class="card" aria-labelledby="journals">
      <h2 id="journals">Journal addresses</h2>
      <p class="hint">
        If your server cannot send through Holdfast, let it send a copy of each message to such an address, for the
        archive.
      </p>
      {made && (
        <div class="notice notice-done" role="status">
          <p>
            Set this address up in your server now. It is not shown again, and whoever knows it can fill the archive.
          </p>
          <dl class="record">
            <dt>Address</dt>
            <dd>{made.addresses[0]}</dd>
            <dt>Or, where the domain's mail comes here</dt>
            <dd>{made.addresses[1]}</dd>
          </dl>
        </div>
      )}
      {rows.length === 0 && <p class="empty">There is none.</p>}
      {rows.length > 0 && (
        <ul class="rows rows-inner">
          {rows.map(({ id, format, label, domains, sources, actor, createdAt }) => (
            <li class="queued">
              <p class="row-name">{label || (format === "reports" ? "Journal reports" : "Copies of messages")}</p>
              <p class="hint">
                {format === "reports" ? "Journal reports" : "Copies"} of {domains.join(", ")} · from{" "}
                {sources.length > 0 ? sources.join(", ") : "anywhere"} · <ShortTime at={createdAt} /> · {actor}
              </p>
              <Remove
                action={`${path}/journals/${id}/remove#journals`}
                what={label || format}
                means="It takes no more mail, at once; the archive keeps what it has brought."
              />
            </li>
          ))}
        </ul>
      )}
      <details open={problem !== undefined}>
        <summary>Make a journal address</summary>
        <ProblemNotice problem={problem} />
        <form method="post" action={`${path}/journals#journals`}>
          <div class="fields">
            <Choice
              name="format"
              label="What is sent there"
              value={form?.text("format") ?? "reports"}
              options={FORMATS}
            />
            <Field
              name="sources"
              label="Taken from"
              value={form?.text("sources")}
              hint="Addresses or ranges of your server, separated by spaces. Empty: from anywhere."
            />
            <Field
              name="domains"
              label="Further domains"
              value={form?.text("domains")}
              hint="Domains of yours whose copies come too."
            />
            <Field name="journal-label" label="What you call it" value={form?.text("journal-label")} />
          </div>
          <button type="submit">Make the address</button>
        </form>
      </details>
    </section>
  );
}

function Remove({ action, what, means }: { action: string; what: string; means: string }) {
  return (
    <details>
      <summary aria-label={`Remove: ${what}`}>Remove</summary>
      <form method="post" action={action}>
        <p>{means}</p>
        <button class="danger" type="submit" aria-label={`Remove it: ${what}`}>
          Remove it
        </button>
      </form>
    </details>
  );
}

/** The API's `kind` decides which field means something. */
export function relayOf(form: Form): NewRelay {
  const kind = form.oneOf("kind", ["login", "address", "certificate"]);
  return {
    ...(kind === "login" && { login: true }),
    // A field that was left empty is not one that is not asked for.
    ...(kind === "address" && { address: form.text("value") ?? "" }),
    ...(kind === "certificate" && { certificate: form.text("value") ?? "" }),
    senders: list(form, "senders"),
    label: form.text("relay-label") ?? "",
  };
}

export function journalOf(form: Form): NewJournal {
  return {
    format: form.oneOf("format", ["reports", "copies"]) ?? "reports",
    sources: list(form, "sources"),
    domains: list(form, "domains"),
    label: form.text("journal-label") ?? "",
  };
}

const list = (form: Form, name: string): string[] => form.text(name)?.split(/[\s,;]+/) ?? [];
