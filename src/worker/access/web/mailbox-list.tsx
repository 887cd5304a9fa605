/** The mailboxes of a domain, and the form of one. */
import { MIN_PASSWORD_LENGTH } from "../../identity/password.ts";
import type { DomainRow } from "../../store/domains.ts";
import type { MailboxRow } from "../../store/mailboxes.ts";
import type { Form } from "./form.ts";
import { Check, Field } from "./parts.tsx";

export const mailboxPath = (domain: DomainRow, box: MailboxRow): string =>
  `/panel/domains/${domain.name}/mailboxes/${encodeURIComponent(box.address)}`;

export function MailboxList({ boxes, domain }: { boxes: readonly MailboxRow[]; domain: DomainRow }) {
  if (boxes.length === 0) return <p class="empty">No mailbox is registered yet.</p>;
  return (
    <ul class="rows rows-inner">
      {boxes.map((box) => (
        <li>
          <a class="row" href={mailboxPath(domain, box)}>
            <span class="row-name">{box.address}</span>
            <span class="row-note">{notes(box, domain)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function notes(box: MailboxRow, domain: DomainRow): string {
  const aliases = box.aliases.length;
  return [
    domain.coverage === "selected" && !box.covered && "not covered",
    !box.login && "no login",
    aliases > 0 && `${aliases} alias${aliases === 1 ? "" : "es"}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** @param box null: a new one. @param form what was sent and could not be */
export function MailboxForm({
  domain,
  box,
  form,
}: {
  domain: DomainRow;
  box: MailboxRow | null;
  form: Form | undefined;
}) {
  const aliases = form ? form.text("aliases") : box?.aliases.join(" ");
  return (
    <form method="post" action={box ? mailboxPath(domain, box) : `/panel/domains/${domain.name}/mailboxes#mailboxes`}>
      {!box && (
        <Field
          name="address"
          label="Address"
          value={form?.text("address")}
          required
          hint={`Such as alice@${domain.name}.`}
        />
      )}
      <div class="fields">
        <Field
          name="aliases"
          label="Aliases"
          value={aliases}
          hint={`Further names before @${domain.name}, separated by spaces.`}
        />
        <Field
          name="login-password"
          label={box?.login ? "New password" : "Password"}
          type="password"
          autocomplete="new-password"
          hint={
            box?.login
              ? "Leave empty to keep the one there is."
              : `For reading mail here in an emergency; at least ${MIN_PASSWORD_LENGTH} characters. Empty: no login.`
          }
        />
        <Field
          name="alternate"
          label="Alternate address"
          value={form ? form.text("alternate") : (box?.alternate ?? undefined)}
          hint="Outside the domain, to reach the person while it is down."
        />
      </div>
      <Check
        name="covered"
        label="Covered where only the chosen mailboxes are"
        checked={form ? form.checked("covered") : (box?.covered ?? true)}
      />
      <button class="main" type="submit">
        {box ? "Save" : "Register the mailbox"}
      </button>
    </form>
  );
}
