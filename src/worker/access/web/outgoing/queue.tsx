/** What has not reached its recipients yet, and who may not send. */
import { formatReply } from "../../../../core/outcome.ts";
import { type QueuedOn, queueId, type StoppedMailbox } from "../../actions/queue.ts";
import { ShortTime } from "../parts.tsx";

export interface QueueProps {
  /** Of the panel's page of the domain's outgoing mail. */
  readonly path: string;
  readonly waiting: number;
  /** Unix milliseconds; null: nothing waits. */
  readonly oldest: number | null;
  readonly rows: readonly QueuedOn[];
  /** The page after; null: this is the last. */
  readonly next: string | null;
}

export function Queue({ path, waiting, oldest, rows, next }: QueueProps) {
  return (
    <section class="card" aria-labelledby="queue">
      <h2 id="queue">Queue</h2>
      <dl class="figures">
        <div>
          <dt>{waiting === 1 ? "recipient waits" : "recipients wait"}</dt>
          <dd>{waiting}</dd>
        </div>
      </dl>
      {oldest !== null && (
        <p class="hint">
          The oldest since <ShortTime at={oldest} />. What cannot be delivered is tried for three days; then its sender
          gets it back.
        </p>
      )}
      {rows.length === 0 && <p class="empty">Everything has gone out.</p>}
      {rows.length > 0 && (
        <>
          <ul class="rows rows-inner">
            {rows.map((row) => (
              <Queued row={row} path={path} />
            ))}
          </ul>
          {next !== null && (
            <p>
              <a href={`${path}?after=${next}#queue`}>More of the queue</a>
            </p>
          )}
          <form method="post" action={`${path}/retry#queue`}>
            <button type="submit">Try all now</button>
          </form>
        </>
      )}
    </section>
  );
}

const STATES: Record<QueuedOn["state"], string> = {
  waiting: "Waits",
  delivered: "Delivered",
  refused: "Refused: its sender is being told",
  expired: "Given up: its sender is being told",
  cancelled: "Taken out: its sender is being told",
};

function Queued({ row, path }: { row: QueuedOn; path: string }) {
  const { message, recipient, state, attempts, dueAt, outcome } = row;
  const why = outcome?.kind === "unavailable" ? (outcome.detail ?? outcome.reason.replaceAll("_", " ")) : null;
  const said = outcome?.reply ? formatReply(outcome.reply) : why;
  const act = `${path}/${queueId(row)}`;
  return (
    <li class="queued">
      <p class="row-name">{recipient}</p>
      <p class="hint">
        {message.subject || "(no subject)"} · from {message.facts.writer} · <ShortTime at={message.createdAt} />
      </p>
      <p class="hint">
        {STATES[state]}
        {attempts > 0 && ` · tried ${attempts === 1 ? "once" : `${attempts} times`}`}
        {state === "waiting" && dueAt !== null && attempts > 0 && (
          <>
            {" "}
            · again <ShortTime at={dueAt} />
          </>
        )}
      </p>
      {said !== null && <p class="said">{said}</p>}
      {state === "waiting" && (
        <div class="actions">
          <form method="post" action={`${act}/retry#queue`}>
            <button class="quiet" type="submit" aria-label={`Try now: ${recipient}`}>
              Try now
            </button>
          </form>
          <form method="post" action={`${act}/cancel#queue`}>
            <button class="quiet" type="submit" aria-label={`Take out, and tell its sender: ${recipient}`}>
              Take out, and tell its sender
            </button>
          </form>
        </div>
      )}
    </li>
  );
}

export function Stops({ path, stops }: { path: string; stops: readonly StoppedMailbox[] | null }) {
  if (stops?.length === 0) return null;
  return (
    <section class="card" aria-labelledby="stops">
      <h2 id="stops">Stopped from sending</h2>
      {stops === null && <p class="empty">The queue does not answer right now.</p>}
      {stops && (
        <>
          <p>
            Somebody else may have the password of such a mailbox. Look at what it has sent, and give it a new password,
            before you let it go on: what it has queued then goes out.
          </p>
          <ul class="rows rows-inner">
            {stops.map(({ address, at, actor, why }) => (
              <li class="queued">
                <p class="row-name">{address}</p>
                <p class="hint">
                  <ShortTime at={at} /> · {actor} · {why}
                </p>
                <form
                  class="actions"
                  method="post"
                  action={`${path}/stops/${encodeURIComponent(address)}/release#stops`}
                >
                  <button type="submit" aria-label={`Let it send again: ${address}`}>
                    Let it send again
                  </button>
                </form>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
