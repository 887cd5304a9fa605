-- While a new version is rolled out, the one before still writes messages, and knows of no numbers in the archive.
CREATE TRIGGER message_numbered AFTER INSERT ON message
WHEN NEW.number = 0
BEGIN
  UPDATE message SET number = 1 + max(
    (SELECT coalesce(max(number), 0) FROM message WHERE account = NEW.account),
    coalesce((SELECT archive_last FROM account WHERE id = NEW.account), 0))
  WHERE id = NEW.id;
END;
