CREATE TABLE `arrival` (
	`account` integer NOT NULL,
	`kind` text NOT NULL,
	`source` integer NOT NULL,
	`target` integer NOT NULL,
	PRIMARY KEY(`account`, `kind`, `source`)
);
--> statement-breakpoint
CREATE TABLE `journal` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account` integer NOT NULL,
	`kind` text NOT NULL,
	`row` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `account` ADD `move` text;