/** The interface to an origin is core's: the gateway speaks it too. */
export {
  isOpen,
  isWriter,
  type MailParameters,
  type MessageWriter,
  type OpenedSession,
  type OriginSession,
} from "../../core/protocol/smtp/conversation.ts";
