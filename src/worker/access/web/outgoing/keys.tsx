/** The keys that sign a domain's mail, and what has to stand in DNS. */
import { dkimRecord } from "../../../send/dkim.ts";
import type { PublicDkimKey } from "../../../store/outgoing-settings.ts";
import type { Problem } from "../../problem.ts";
import { ProblemNotice, ShortTime } from "../parts.tsx";

export interface KeysProps {
  readonly path: string;
  readonly domain: string;
  readonly keys: readonly PublicDkimKey[];
  readonly problem: Problem | undefined;
}

export function Keys({ path, domain, keys, problem }: KeysProps) {
  return (
    <section class="card" aria-labelledby="keys">
      <h2 id="keys">Signature (DKIM)</h2>
      <ProblemNotice problem={problem} />
      <p class="hint">
        Mail of this domain that nobody has signed yet is signed with its own key. Put a key's record into DNS first,
        then let it sign. Cloudflare's Email Service signs by itself.
      </p>
      {keys.length === 0 && <p class="empty">There is no key: mail goes out unsigned.</p>}
      {keys.length > 0 && (
        <ul class="rows rows-inner">
          {keys.map((key) => (
            <Key path={path} domain={domain} {...key} />
          ))}
        </ul>
      )}
      <form method="post" action={`${path}/keys#keys`}>
        <button type="submit">{keys.length === 0 ? "Make a key" : "Make another key"}</button>
      </form>
    </section>
  );
}

function Key({
  path,
  domain,
  selector,
  publicKey,
  active,
  createdAt,
}: PublicDkimKey & { path: string; domain: string }) {
  const record = dkimRecord(domain, selector, publicKey);
  const act = `${path}/keys/${encodeURIComponent(selector)}`;
  return (
    <li class="queued">
      <p class="row-name">
        {selector} {active && <span class="badge">signs</span>}
      </p>
      <p class="hint">
        Made <ShortTime at={createdAt} />
      </p>
      <details>
        <summary>What has to stand in DNS</summary>
        <dl class="record">
          <dt>Name</dt>
          <dd>{record.name}</dd>
          <dt>Type</dt>
          <dd>TXT</dd>
          <dt>Value</dt>
          <dd>{record.value}</dd>
        </dl>
      </details>
      <div class="actions">
        {!active && (
          <form method="post" action={`${act}/use#keys`}>
            <button type="submit" aria-label={`Its record is in DNS: let it sign: ${selector}`}>
              Its record is in DNS: let it sign
            </button>
          </form>
        )}
        <form method="post" action={`${act}/forget#keys`}>
          <button
            class="quiet"
            type="submit"
            aria-label={`${active ? "Forget it, and sign no more" : "Forget it"}: ${selector}`}
          >
            {active ? "Forget it, and sign no more" : "Forget it"}
          </button>
        </form>
      </div>
    </li>
  );
}
