-- Full text of the archive. Contentless (1.2 kB a message instead of 3.7): highlights come from R2 for the hits shown.
-- rowid = message.id; scope holds tokens such as `a17 d3 in`; head: subject, addresses, attachment names; body: text.
CREATE VIRTUAL TABLE `fts` USING fts5(`scope`, `head`, `body`, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
