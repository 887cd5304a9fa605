/** The handful of components that carry every page. */
import type { Child } from "hono/jsx";
import type { Problem } from "../problem.ts";

const DATE = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
});

/** @param at unix milliseconds; shown in UTC, the one time zone that is everybody's */
export function Time({ at }: { at: number }) {
  return <time datetime={new Date(at).toISOString()}>{DATE.format(at)} UTC</time>;
}

const DAY_AND_TIME = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
});

/** For lists, whose items are at most 90 days old: no year. */
export function ShortTime({ at }: { at: number }) {
  return <time datetime={new Date(at).toISOString()}>{DAY_AND_TIME.format(at)}</time>;
}

/** How long something takes or took, in the two largest units. */
export function duration(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return "less than a minute";
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

const UNITS = ["B", "kB", "MB"] as const;

/** @param octets shown in decimal units */
export function size(octets: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(octets, 1)) / 3));
  const value = octets / 1000 ** power;
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

export function ModeBadge({ mode }: { mode: "normal" | "emergency" }) {
  return <span class={`badge badge-${mode}`}>{mode === "normal" ? "Normal" : "Emergency"}</span>;
}

/** What went wrong, announced to a screen reader. */
/** @param since unix milliseconds; null: all mail is found */
export function NotYetFound({ since }: { since: number | null | undefined }) {
  if (since == null) return null;
  return (
    <p class="hint" role="status">
      After an upgrade, older mail is being made searchable again. Until that is done, nothing is found here from before{" "}
      <ShortTime at={since} />.
    </p>
  );
}

export function ProblemNotice({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null;
  const errors = problem.errors ?? [];
  return (
    <div class="notice notice-problem" role="alert">
      {errors.length > 0 ? (
        <ul>
          {errors.map(({ field, line, message }) => (
            <li>
              {line !== undefined && `Line ${line}: `}
              {labelOf(field) !== "" && <b>{labelOf(field)} </b>}
              {message}
            </li>
          ))}
        </ul>
      ) : (
        <p>{problem.detail}</p>
      )}
    </div>
  );
}

const LABELS: Record<string, string> = {
  // The sentence quotes what was typed.
  q: "",
  "origin.transport": "How mail gets there",
  "origin.via": "What cannot be forwarded",
  "origin.forwardDomain": "Forward to the domain",
  "origin.host": "Mail server",
  "origin.port": "Port",
  "origin.tls": "Encryption",
  "origin.username": "Username",
  "origin.password": "Password of the mail server",
  origin: "Mail server",
  alternateAddress: "Alternate address",
};

function labelOf(field: string): string {
  return LABELS[field] ?? field.charAt(0).toUpperCase() + field.slice(1).replace(/\.\d+$/, "");
}

export function Done({ children }: { children: Child }) {
  return (
    <div class="notice notice-done" role="status">
      <p>{children}</p>
    </div>
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly type?: "text" | "email" | "password" | "number" | "search";
  readonly value?: string | undefined;
  readonly hint?: string;
  readonly required?: boolean;
  readonly autocomplete?: string;
  readonly inputmode?: "numeric" | "email";
}

/** A labelled input; the hint is tied to it. */
export function Field({
  name,
  label,
  type = "text",
  value,
  hint,
  required,
  autocomplete = "off",
  inputmode,
}: FieldProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        name={name}
        type={type}
        value={value}
        required={required}
        autocomplete={autocomplete}
        inputmode={inputmode}
        autocapitalize="none"
        spellcheck={false}
        aria-describedby={hint ? `${name}-hint` : undefined}
      />
      {hint && (
        <p class="hint" id={`${name}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly hint?: string;
  readonly disabled?: boolean;
}

export function Choice({ name, label, value, options, hint, disabled }: ChoiceProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <select id={name} name={name} disabled={disabled} aria-describedby={hint ? `${name}-hint` : undefined}>
        {options.map(([option, text]) => (
          <option value={option} selected={option === value}>
            {text}
          </option>
        ))}
      </select>
      {hint && (
        <p class="hint" id={`${name}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function Check({ name, label, checked }: { name: string; label: string; checked: boolean }) {
  return (
    <div class="field field-check">
      <input id={name} name={name} type="checkbox" value="true" checked={checked} />
      <label for={name}>{label}</label>
    </div>
  );
}
