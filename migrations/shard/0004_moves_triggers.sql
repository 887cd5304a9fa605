-- A mailbox that moves to another shard (src/worker/move). While its account is `leaving`, each change is noted in the journal;
-- once it is `fenced` or `left`, every change is refused, whoever makes it: what planned before the move hears of it by this
-- error and goes to the other shard. Deleting is free: that is how the rest is cleared away, and retention works.
CREATE TRIGGER account_fenced BEFORE UPDATE OF seq ON account
WHEN OLD.move IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER folder_fenced_insert BEFORE INSERT ON folder
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER folder_fenced_update BEFORE UPDATE ON folder
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER folder_noted_insert AFTER INSERT ON folder
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'folder', NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER folder_noted_update AFTER UPDATE ON folder
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'folder', NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER folder_noted_delete AFTER DELETE ON folder
WHEN (SELECT move FROM account WHERE id = OLD.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (OLD.account, 'folder', OLD.id); END;
--> statement-breakpoint
CREATE TRIGGER message_fenced_insert BEFORE INSERT ON message
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER message_fenced_update BEFORE UPDATE ON message
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER message_noted_insert AFTER INSERT ON message
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'message', NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER message_noted_update AFTER UPDATE ON message
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'message', NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER message_noted_delete AFTER DELETE ON message
WHEN (SELECT move FROM account WHERE id = OLD.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (OLD.account, 'message', OLD.id); END;
--> statement-breakpoint
CREATE TRIGGER placement_fenced_insert BEFORE INSERT ON placement
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER placement_fenced_update BEFORE UPDATE ON placement
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER placement_noted_insert AFTER INSERT ON placement
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'placement', NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER placement_noted_update AFTER UPDATE ON placement
WHEN (SELECT move FROM account WHERE id = NEW.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (NEW.account, 'placement', NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER placement_noted_delete AFTER DELETE ON placement
WHEN (SELECT move FROM account WHERE id = OLD.account) = 'leaving'
BEGIN INSERT INTO journal (account, kind, row) VALUES (OLD.account, 'placement', OLD.id); END;
