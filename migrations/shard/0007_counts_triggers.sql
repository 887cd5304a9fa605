-- What is in each folder is counted on its row, by triggers: delivery, failback, people, moves between shards and whoever comes
-- later cannot forget it. One row written more for each placement that changes (docs/decisions/014).
DROP TRIGGER folder_noted_update;
--> statement-breakpoint
-- A count is no change of the folder: the other shard's triggers count for themselves.
CREATE TRIGGER folder_noted_update AFTER UPDATE OF parent, name, role, uidvalidity, subscribed, modseq, created, gone, request ON folder
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'folder', NEW.id); END;
--> statement-breakpoint
UPDATE folder SET
  messages = c.messages, unseen = c.unseen, unread = c.unread, deleted = c.deleted, size = c.size, uidnext = c.uidnext, highest = c.highest
FROM (
  SELECT p.id / 4294967296 AS folder, sum(p.gone IS NULL) AS messages, sum(p.gone IS NULL AND p.flags & 1 = 0) AS unseen,
    sum(p.gone IS NULL AND p.flags & 25 = 0) AS unread, sum(p.gone IS NULL AND p.flags & 16 <> 0) AS deleted,
    sum(iif(p.gone IS NULL, coalesce(m.size, 0), 0)) AS size, max(p.id % 4294967296) + 1 AS uidnext, max(p.modseq) AS highest
  FROM placement p LEFT JOIN message m ON m.id = p.message GROUP BY 1) c
WHERE c.folder = folder.id AND folder.account NOT IN (SELECT id FROM account WHERE move IN ('fenced', 'left'));
--> statement-breakpoint
UPDATE message SET number = n.number
FROM (SELECT id, row_number() OVER (PARTITION BY account ORDER BY id) AS number FROM message) n
WHERE n.id = message.id AND message.account NOT IN (SELECT id FROM account WHERE move IN ('fenced', 'left'));
--> statement-breakpoint
CREATE TRIGGER placement_counted_insert AFTER INSERT ON placement
BEGIN
  UPDATE folder SET
    messages = messages + (NEW.gone IS NULL),
    unseen = unseen + (NEW.gone IS NULL AND NEW.flags & 1 = 0),
    unread = unread + (NEW.gone IS NULL AND NEW.flags & 25 = 0),
    deleted = deleted + (NEW.gone IS NULL AND NEW.flags & 16 <> 0),
    size = size + iif(NEW.gone IS NULL, coalesce((SELECT size FROM message WHERE id = NEW.message), 0), 0),
    uidnext = max(uidnext, NEW.id % 4294967296 + 1),
    highest = max(highest, NEW.modseq)
  WHERE id = NEW.id / 4294967296;
END;
--> statement-breakpoint
CREATE TRIGGER placement_counted_update AFTER UPDATE OF modseq, flags, gone ON placement
BEGIN
  UPDATE folder SET
    messages = messages + (NEW.gone IS NULL) - (OLD.gone IS NULL),
    unseen = unseen + (NEW.gone IS NULL AND NEW.flags & 1 = 0) - (OLD.gone IS NULL AND OLD.flags & 1 = 0),
    unread = unread + (NEW.gone IS NULL AND NEW.flags & 25 = 0) - (OLD.gone IS NULL AND OLD.flags & 25 = 0),
    deleted = deleted + (NEW.gone IS NULL AND NEW.flags & 16 <> 0) - (OLD.gone IS NULL AND OLD.flags & 16 <> 0),
    size = size + ((NEW.gone IS NULL) - (OLD.gone IS NULL)) * coalesce((SELECT size FROM message WHERE id = NEW.message), 0),
    highest = max(highest, NEW.modseq)
  WHERE id = NEW.id / 4294967296;
END;
--> statement-breakpoint
-- Of a mailbox that has moved away nothing is counted any more: its rest is only cleared away.
CREATE TRIGGER placement_counted_delete AFTER DELETE ON placement
WHEN OLD.gone IS NULL AND coalesce((SELECT move FROM account WHERE id = OLD.account), '') NOT IN ('fenced', 'left')
BEGIN
  UPDATE folder SET
    messages = messages - 1,
    unseen = unseen - (OLD.flags & 1 = 0),
    unread = unread - (OLD.flags & 25 = 0),
    deleted = deleted - (OLD.flags & 16 <> 0),
    size = size - coalesce((SELECT size FROM message WHERE id = OLD.message), 0)
  WHERE id = OLD.id / 4294967296;
END;
--> statement-breakpoint
-- A row is written only where somebody has looked at the archive since, or where it was the account's newest message.
CREATE TRIGGER message_counted_delete AFTER DELETE ON message
WHEN OLD.number > 0 AND (OLD.number <= (SELECT counted_to FROM account WHERE id = OLD.account)
  OR NOT EXISTS (SELECT 1 FROM message WHERE account = OLD.account AND number > OLD.number))
BEGIN
  UPDATE account SET
    archived = archived - (OLD.number <= counted_to),
    archived_size = archived_size - iif(OLD.number <= counted_to, OLD.size, 0),
    archive_last = max(archive_last, OLD.number)
  WHERE id = OLD.account;
END;
