CREATE TABLE `fate` (
	`key` text PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`at` integer NOT NULL,
	`until` integer,
	`reply` text
) WITHOUT ROWID;
