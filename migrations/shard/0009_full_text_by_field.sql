-- The full text with a column for each field that can be searched for itself; rowid = message.id. `scope` holds tokens such as
-- `a17 d3 in files`; `fields` the words of all other header fields, each behind its field's name (src/core/query/header-words.ts).
-- Contentless as before. It begins empty; the Worker fills it for what is stored already, newest first (src/worker/archive/renewal.ts).
-- The table `fts` stays for the version that runs until the new one is deployed, or is gone back to, and for the conversations of
-- what has no row here yet; nothing new writes it.
CREATE VIRTUAL TABLE `full_text` USING fts5(`scope`, `subject`, `sender`, `recipient`, `cc`, `bcc`, `envelope`, `names`, `fields`, `body`, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
