CREATE TABLE `dkim_key` (
	`domain` integer NOT NULL,
	`selector` text NOT NULL,
	`public_key` text NOT NULL,
	`encrypted` text NOT NULL,
	`key_id` text NOT NULL,
	`active` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`domain`, `selector`),
	FOREIGN KEY (`domain`) REFERENCES `domain`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
ALTER TABLE `domain` ADD `outgoing` text;--> statement-breakpoint
ALTER TABLE `domain` ADD `outgoing_encrypted` text;--> statement-breakpoint
ALTER TABLE `domain` ADD `outgoing_key_id` text;