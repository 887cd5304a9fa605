-- What its owner has set of a mailbox that moves is copied behind the fence (src/worker/move): nobody changes it meanwhile, nor what has left.
CREATE TRIGGER identity_fenced_insert BEFORE INSERT ON identity
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER identity_fenced_update BEFORE UPDATE ON identity
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER on_arrival_fenced_insert BEFORE INSERT ON on_arrival
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER on_arrival_fenced_update BEFORE UPDATE ON on_arrival
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER told_fenced_insert BEFORE INSERT ON told
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER told_fenced_update BEFORE UPDATE ON told
WHEN (SELECT move FROM account WHERE id = NEW.account) IN ('fenced', 'left')
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
--> statement-breakpoint
CREATE TRIGGER identity_fenced_delete BEFORE DELETE ON identity
WHEN (SELECT move FROM account WHERE id = OLD.account) = 'fenced'
BEGIN SELECT RAISE(ABORT, 'the mailbox has moved'); END;
