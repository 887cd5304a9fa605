CREATE TABLE `journal_address` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`domain` integer NOT NULL,
	`hash` text NOT NULL,
	`format` text NOT NULL,
	`domains` text NOT NULL,
	`sources` text NOT NULL,
	`label` text NOT NULL,
	`actor` text NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`domain`) REFERENCES `domain`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `journal_address_hash_unique` ON `journal_address` (`hash`);--> statement-breakpoint
CREATE INDEX `journal_address_domain` ON `journal_address` (`domain`);--> statement-breakpoint
CREATE TABLE `relay` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`domain` integer NOT NULL,
	`kind` text NOT NULL,
	`value` text NOT NULL,
	`hash` text,
	`senders` text NOT NULL,
	`label` text NOT NULL,
	`actor` text NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`domain`) REFERENCES `domain`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `relay_known` ON `relay` (`kind`,`value`);--> statement-breakpoint
CREATE INDEX `relay_domain` ON `relay` (`domain`);