/** An opened message as the webmail and the archive show it. */
import type { Piece } from "../../../core/query/highlight.ts";
import type { MailAddress, MessageMeta } from "../../archive/meta.ts";
import type { OpenedMessage } from "../../archive/read.ts";
import { size, Time } from "./parts.tsx";

/** With what was searched for marked. @param text where nothing of it is there */
export function Marked({ pieces, text }: { pieces: readonly Piece[] | null | undefined; text: string }) {
  return <>{pieces?.map((piece) => (piece.hit ? <mark>{piece.text}</mark> : piece.text)) ?? text}</>;
}

interface Summary {
  readonly subject: string;
  readonly sender: string;
  readonly at: number;
  readonly meta: MessageMeta;
}

export function senderOf({ meta, sender }: Pick<Summary, "meta" | "sender">): string {
  const [from] = meta.from;
  return from?.name || from?.address || sender || "(no sender)";
}

const written = (addresses: readonly MailAddress[]): string =>
  addresses.map(({ name, address }) => (name ? `${name} <${address}>` : address)).join(", ");

/** The header names whom the envelope names: then the envelope says nothing new. */
const isNamed = ({ to, cc, envelope }: MessageMeta): boolean =>
  [...to, ...cc].some(({ address }) => address.toLowerCase() === envelope.to.toLowerCase());

/** @param path of the message; its body, attachments and octets are below it */
export function MessageBody({ row, opened, path }: { row: Summary; opened: OpenedMessage; path: string }) {
  const { meta } = row;
  return (
    <>
      <dl class="headers">
        <dt>From</dt>
        <dd>{written(meta.from) || row.sender}</dd>
        <dt>To</dt>
        <dd>{written(meta.to) || "(nobody is named)"}</dd>
        {meta.cc.length > 0 && (
          <>
            <dt>Cc</dt>
            <dd>{written(meta.cc)}</dd>
          </>
        )}
        <dt>Received</dt>
        <dd>
          <Time at={row.at} />
        </dd>
        {!isNamed(meta) && (
          <>
            <dt>Came for</dt>
            <dd>{meta.envelope.to}</dd>
          </>
        )}
      </dl>
      {opened.attachments.length > 0 && (
        <ul class="attachments" aria-label="Attachments">
          {opened.attachments.map((part) => (
            <li>
              <a class="button" href={`${path}/attachments/${part.n}`} download>
                {part.name || "attachment"} <span class="hint">{size(part.size)}</span>
              </a>
            </li>
          ))}
        </ul>
      )}
      {opened.html !== null && opened.blocked > 0 && (
        <p class="hint">
          {opened.blocked === 1 ? "One image" : `${opened.blocked} images`} from elsewhere{" "}
          {opened.blocked === 1 ? "is" : "are"} not loaded, so that the sender does not learn that you read this.
        </p>
      )}
      {opened.html !== null && (
        <iframe
          class="body-frame"
          title="The message"
          src={`${path}/body`}
          sandbox="allow-popups allow-popups-to-escape-sandbox"
        />
      )}
      {opened.html === null && <pre class="body-text">{opened.text || "(the message has no text)"}</pre>}
      <details>
        <summary>All headers</summary>
        <dl class="headers headers-all">
          {opened.headers.map(({ name, value }) => (
            <>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </>
          ))}
        </dl>
        <p>
          <a href={`${path}/raw`} download>
            Download the message as it was received
          </a>
        </p>
      </details>
    </>
  );
}
